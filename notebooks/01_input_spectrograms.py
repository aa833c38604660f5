# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Input spectrograms
#
# *What does the network see, and what does each step of the normalisation do to it? (The paper's
# Section 2.1)*
#
# This page follows one utterance from its waveform to what the network sees.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from IPython.display import Audio

from repro import audio, config, corpora, paper, spectrogram
from repro.report import plots
from repro.report.pages import common, speech

plots.use_style()
changes = [each for each in config.parted(preset)[1] if each.startswith("front_end.")]
setting = ", ".join(["paper", *changes])
front_end = speech.of_one_utterance(config.preset(setting).front_end)
at_hand = corpora.at_hand(corpus, root)
table = corpora.load_corpus(corpus, root) if at_hand else corpora.load_corpus("synthetic")
common.notice(corpus, setting) if at_hand else speech.stand_in(corpus, table)

# %% [markdown]
# ## Answer
#
# The network sees two seconds at a time, as a matrix of 400 frequency bins by 200 frames. Each
# segment is scaled by its own extremes, so loudness itself is gone. By default its quietest point
# becomes −1, and the µ-law then keeps the strongest harmonics and flattens almost everything else
# towards −1, in the speech shown here. The other close reading leaves silence at 0, where the µ-law
# brings out quiet detail.

# %% [markdown]
# ## The corpora
#
# A recording belongs to the speaker who speaks in it. This decides who is held out.

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-released", "caption": "Corpora that this book can read, as they are released: the utterances of the four emotions (of IEMOCAP, the improvised ones)."}}
common.table(speech.released())

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-corpus", "caption": "Utterances by speaker and emotion, minutes of speech, utterances shorter than a segment, and the segments that training and test cut from them."}}
common.table(speech.corpus_counts(table)) if at_hand else None

# %% [markdown]
# ## Segments
#
# Segments last 2 s and carry the label of their utterance. In training they start 1 s apart, as
# their overlap gives more to learn from. In test they start 0.4 s apart, and the utterance's
# scores are the mean over them. The example is the utterance nearest to five seconds.

# %%
chosen = table.loc[(table["samples"] - 5 * paper.SAMPLE_RATE).abs().idxmin()]
waveform = audio.load(chosen["path"])
seconds = len(waveform) / paper.SAMPLE_RATE
print(f"{chosen['utterance']}: {chosen['emotion']}, {seconds:.2f} s")
Audio(waveform.numpy(), rate=paper.SAMPLE_RATE)

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-segments", "caption": "A waveform with its training and test segments. What is left at the end, shorter than one step, belongs to no segment."}, "image": {"alt": "Waveform of one utterance above horizontal bars, two seconds long, that start one second apart in training and 0.4 seconds apart in test."}}
plots.segments(waveform, speech.segment_starts(len(waveform)))

# %% [markdown]
# The paper does not say what becomes of an utterance shorter than 2 s. Here silence at its end
# fills it up, and it counts in training and in test. Leaving it out makes a different test
# ({doc}`06_protocol`).

# %% [markdown]
# ## From sound to matrix
#
# A Hamming window of 40 ms moves in steps of 10 ms. Zeros fill each frame up to 1600 samples
# before the Fourier transform. At 16 kHz this gives a value every 10 Hz, finer than the window can
# resolve. The rows are the 400 lowest bins, 0 to 3990 Hz (row 100 is 1 kHz); the columns are the
# 200 frames.
#
# Each segment is then scaled linearly, by default so that its smallest magnitude becomes −1, its
# largest 1. (Where one scale serves a whole training set, this page scales each segment by itself.)
# Last, every entry $x$ goes through the µ-law,
#
# $$
# F(x) = \operatorname{sgn}(x)\,\frac{\ln(1 + \mu |x|)}{\ln(1 + \mu)}, \qquad \mu = 255.
# $$ (eq-mulaw)

# %%
segment = spectrogram.segments(waveform, front_end, paper.TRAIN_HOP_SECONDS)
print("network input:", tuple(segment.shape))
print(f"entries at 0 or above: {100 * (segment >= 0).float().mean():.1f}%")

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-normalisation", "caption": "The first segment in decibels, as magnitudes, after linear scaling and after the µ-law, each with the distribution of its values."}, "image": {"alt": "Four spectrograms of the same two seconds, each beside a histogram of its values: decibels, magnitudes near zero, scaled values near minus one, and values after the mu-law."}}
plots.normalisation(speech.normalisation_steps(waveform, front_end))

# %% [markdown]
# {numref}`fig-normalisation` shows a consequence that the paper does not mention. Most of a
# spectrogram is quiet, so linear scaling puts most entries close to −1. {eq}`eq-mulaw` spreads
# values around *zero*, now half of the loudest value and rare in speech, and presses those near −1
# and 1 together. It thus squeezes the quiet detail that a logarithm would bring out. The µ-law
# brings out such detail only when silence sits at zero, as on a scale from 0 to 1;
# {doc}`05_readings` measures that reading, and {doc}`10_left_open` lists what else can be read
# otherwise.
#
# Padding has another such consequence. Where a convolution keeps the size of its input, libraries put
# zeros around it. Here zero is louder than nearly everything, so the first layer sees a bright frame
# around each segment. Read so, the paper has it too, unless it padded with −1
# (`network.padding=silence`), or not at all.

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-mulaw", "caption": "The µ-law of the paper's Eq. 1: steep at zero, flat at both ends."}, "image": {"alt": "Curve of F(x) from minus one to one, steep around zero and flat towards both ends."}}
plots.mu_law_curve(speech.mu_law_values())

# %% [markdown]
# ## One input for each emotion, under two readings

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-emotions", "caption": "Network inputs: the first segment of an utterance of each emotion, if possible by one speaker. Above, each segment's minimum becomes −1 and its maximum 1, the default; below, it is divided by its maximum (`front_end.scale=segment-max`)."}, "image": {"alt": "Two rows of four spectrograms after normalisation, one each for neutral, happy, sad and angry; the upper row is nearly black, the lower shows quiet detail."}}
waveforms = {emotion: audio.load(path) for emotion, path in speech.one_each(table).items()}
plots.emotions(speech.under_two_readings(waveforms, front_end))

# %% tags=["remove-input"]
common.provenance(corpus if at_hand else "synthetic", preset)
