"""The paper's settings, published numbers and claims: the only place where they stand.

Li, Song, McLoughlin, Guo, Dai: "An Attention Pooling based Representation Learning Method for
Speech Emotion Recognition", Interspeech 2018. Every value names the section, equation, figure or
table that it comes from. What the paper leaves open is not here but in `repro.config`; where only
a figure of the paper could tell, a comment says that the values are not from its text.
"""

from dataclasses import dataclass

# Section 2.1: input spectrogram ------------------------------------------------------------------

SEGMENT_SECONDS = 2.0
TRAIN_OVERLAP_SECONDS = 1.0
TEST_OVERLAP_SECONDS = 1.6
TRAIN_HOP_SECONDS = SEGMENT_SECONDS - TRAIN_OVERLAP_SECONDS
TEST_HOP_SECONDS = round(SEGMENT_SECONDS - TEST_OVERLAP_SECONDS, 6)
WINDOW_SECONDS = 0.040  # Hamming
SHIFT_SECONDS = 0.010
DFT_POINTS = 1600
BIN_HZ = 10
HIGHEST_HZ = 4000
BINS, FRAMES = 400, 200
MU = 255.0  # Eq. 1

# A DFT of 1600 points has a grid of 10 Hz only at 16 kHz, which is also IEMOCAP's rate.
SAMPLE_RATE = DFT_POINTS * BIN_HZ

# Sections 2.2 and 3.3, Fig. 1: the network -------------------------------------------------------

STEM_SHAPES = ((10, 2), (2, 8))  # height (10 Hz bins) × width (10 ms frames), Section 3.2
STEM_CHANNELS = 8  # each, Section 3.3
TRUNK_KERNEL = 3
# The text gives four 3×3 layers and, through the 6400-dimensional bilinear feature, 80 channels
# for the last. The other three widths are those of public re-implementations.
TRUNK_CHANNELS = (32, 48, 64, 80)
POOL_WINDOW = 2
SWEEP_CHANNELS = 16  # the "16:4" layer of Section 3.2

# Section 3.1: corpus and training ----------------------------------------------------------------

EMOTIONS = ("neutral", "happy", "sad", "angry")
FOLDS = 10
BATCH_SIZE = 64
MOMENTUM = 0.9  # Nesterov
WEIGHT_DECAY = 1e-4
EPOCHS = 50
LEARNING_RATE = 0.05
RATE_CUT = 0.1
MILESTONES = (21, 31, 41)

# Section 3.2: the sweep of filter shapes ---------------------------------------------------------

SWEEP_FIXED = 2  # the side that is held while the other varies
SWEEP_HEIGHTS = (2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100)
SWEEP_WIDTHS = (2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80)
# The paper gives both ranges and "dozens" of shapes, not the points; these are ours within them.


# Table 1: published results ----------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """One row of Table 1, in per cent."""

    name: str
    wa: float
    ua: float


TABLE_1_EARLIER = (
    Published("DNN-ELM", 57.91, 52.13),
    Published("RNN-ELM", 62.85, 63.89),
    Published("CNN-LSTM", 68.80, 59.40),
    Published("CNN-LSTM, two-step predictor", 67.30, 62.00),
)
TABLE_1 = {
    "gap": Published("CNN TF GAP", 71.35, 67.54),
    "bilinear": Published("CNN TF Bilinear", 69.17, 64.16),
    "attention": Published("CNN TF Att.pooling", 71.75, 68.06),
}

MARGIN_WA, MARGIN_UA = 3.0, 4.0  # by which attention beats earlier work, "about", Section 4

# Claims ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper that results can support or contradict, in our words."""

    id: str
    section: str
    text: str


CLAIMS = (
    Claim("height-rises", "3.2", "WA and neutral accuracy rise with filter height up to about 10"),
    Claim("height-flattens", "3.2", "past a height of about 10 (100 Hz) WA stays level"),
    Claim("width-peaks", "3.2", "WA peaks at a width of about 8 (80 ms), then falls"),
    Claim("angry-falls", "3.2", "angry accuracy falls as the filter gets wider"),
    Claim("happy-worst", "3.2", "happy is the worst class and does not depend on the shape"),
    Claim("best-shapes", "3.2", "10×2 and 2×8 are the best shapes of their sweeps"),
    Claim("gap-beats-earlier", "3.3", "GAP already beats the best earlier WA and UA"),
    Claim("bilinear-below-gap", "3.3", "bilinear pooling is worse than GAP in WA and in UA"),
    Claim("attention-above-gap", "3.3", "attention pooling beats GAP in WA and in UA"),
    Claim("attention-above-bilinear", "3.3", "attention pooling beats bilinear in WA and in UA"),
    Claim(
        "attention-margin",
        "4",
        f"attention beats the best earlier WA by about {MARGIN_WA:g} and UA by about "
        f"{MARGIN_UA:g} points",
    ),
)
