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
# *The paper's Section 2.1. What does the network see, and what does each step of the normalisation
# do to it?*
#
# The network never hears an utterance. It sees pictures of it: stretches of two seconds, each a
# matrix of 400 frequency bins by 200 frames, squeezed into the range from −1 to 1. This page follows
# one utterance from the waveform to that matrix.

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

from repro import audio, corpora, paper, spectrogram
from repro.config import preset as get_preset
from repro.report import plots
from repro.report.pages import common, left_open, speech

plots.use_style()
front_end = get_preset(preset).front_end
at_hand = corpora.at_hand(corpus, root)
table = corpora.load_corpus(corpus, root) if at_hand else corpora.load_corpus("synthetic")
common.notice(corpus) if at_hand else speech.stand_in(corpus, table)

# %% [markdown]
# ## The corpus
#
# Utterances by speaker and emotion. A recording belongs to the speaker who speaks in it; that decides
# later who is held out. The last two columns count the segments that training and test cut from
# each speaker's utterances.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-corpus", "caption": "Utterances by speaker and emotion, minutes of speech, utterances shorter than a segment, and segments for training and test."}}
common.table(speech.corpus_counts(table))

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-corpus-held", "caption": "Utterances of the corpus that the other pages are about, by speaker and emotion, as the results hold them."}}
speech.held_in(results, corpus, root)

# %% [markdown]
# ## Segments
#
# An utterance is cut into segments of 2 s. For training they start 1 s apart, so that neighbours
# share half of their sound and there is more to learn from. For test they start 0.4 s apart, and the
# utterance's scores are the mean over its segments. All segments carry the label of their utterance.
# Here is the utterance nearest to five seconds.

# %%
chosen = table.loc[(table["samples"] - 5 * paper.SAMPLE_RATE).abs().idxmin()]
waveform = audio.load(chosen["path"])
seconds = len(waveform) / paper.SAMPLE_RATE
print(f"{chosen['utterance']}: {chosen['emotion']}, {seconds:.2f} s")
Audio(waveform.numpy(), rate=paper.SAMPLE_RATE)

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-segments", "caption": "A waveform, and where training and test segments lie on it. What is left over at the end, shorter than one step, belongs to no segment."}, "image": {"alt": "Waveform of one utterance above horizontal bars, two seconds long, that start one second apart in training and 0.4 seconds apart in test."}}
plots.segments(waveform, speech.segment_starts(len(waveform)))
# %% [markdown]
# An utterance shorter than 2 s does not fill a segment, and the paper does not say what becomes of
# it. Here it is filled with silence at its end, so that every utterance counts in training and in
# test. Leaving the short ones out makes a different test.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-lengths", "caption": "Lengths of the utterances."}, "image": {"alt": "Histogram of utterance lengths in seconds; the part below two seconds is shaded."}}
plots.lengths(table)
# %% [markdown]
# ## From sound to matrix
#
# A Hamming window of 40 ms moves along the segment in steps of 10 ms. Each frame is padded with
# zeros to 1600 samples before the Fourier transform. At 16 kHz that gives a value every 10 Hz: finer
# than the window itself can resolve, but smooth to look at for filters that count bins. The 400
# lowest bins, 0 to 3990 Hz, are the rows; the 200 frames are the columns. Row 100 is 1 kHz.
#
# The magnitudes then pass through two steps. First each segment is scaled linearly, its smallest
# value to −1 and its largest to 1. Then every entry $x$ goes through the µ-law,
#
# $$
# F(x) = \operatorname{sgn}(x)\,\frac{\ln(1 + \mu |x|)}{\ln(1 + \mu)}, \qquad \mu = 255.
# $$ (eq-mulaw)

# %%
segment = spectrogram.segments(waveform, front_end, paper.TRAIN_HOP_SECONDS)
print("network input:", tuple(segment.shape))
print(f"entries at 0 or above: {100 * (segment >= 0).float().mean():.1f}%")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-normalisation", "caption": "The first segment in decibels, as magnitudes, after linear scaling, and after the µ-law of the paper's Eq. 1, with the distribution of values beside each."}, "image": {"alt": "Four spectrograms of the same two seconds, each beside a histogram of its values: decibels, magnitudes near zero, scaled values near minus one, and values after the mu-law."}}
plots.normalisation(speech.normalisation_steps(waveform, front_end))
# %% [markdown]
# {numref}`fig-normalisation` shows a consequence that the paper does not mention. Most of a
# spectrogram is quiet, so linear scaling puts most entries close to −1. {eq}`eq-mulaw` spreads
# values around *zero* and presses those near −1 and 1 together. Zero is now half of the loudest
# value, where speech spends little of its time, and the quiet detail that a logarithm would bring
# out is squeezed further. The µ-law does what one expects of it only when silence sits at zero, as
# with a scale from 0 to 1. That is one of the readings below, and its effect can be measured.
#
# Another one is easily overlooked. Zero is what libraries put around the input of a convolution. Here
# that is no silence but louder than nearly everything, so that the first layer sees a bright frame
# around each segment. Read so, the paper has it too, unless it padded with −1
# (`network.padding=silence`).

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-mulaw", "caption": "The µ-law of the paper's Eq. 1: steep at zero, flat at both ends."}, "image": {"alt": "Curve of F(x) from minus one to one, steep around zero and flat towards both ends."}}
plots.mu_law_curve(speech.mu_law_values())
# %% [markdown]
# ## One input for each emotion
#
# The first utterance of each emotion, spoken by the same speaker where there is one who has all
# four.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-emotions", "caption": "Network inputs: the first segment of an utterance of each emotion."}, "image": {"alt": "Four spectrograms after normalisation, one each for neutral, happy, sad and angry."}}
variety = table.groupby("speaker")["emotion"].nunique()
examples = table[table["speaker"] == variety.idxmax()].drop_duplicates("emotion")
inputs = {
    row.emotion: spectrogram.segments(audio.load(row.path), front_end, paper.TRAIN_HOP_SECONDS)[
        0, 0
    ]
    for row in examples.itertuples()
}
plots.emotions({emotion: inputs[emotion] for emotion in paper.EMOTIONS if emotion in inputs})
# %% [markdown]
# ## What the paper leaves open here
#
# Each row is a setting of `repro run ... --set FIELD=VALUE`; {doc}`10_left_open` lists the values.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-readings-input", "caption": "Sentences on the input that can be read in more than one way."}}
common.table(left_open.readings("front_end"))

# %% [markdown]
# ## Answer
#
# The network sees two seconds at a time as a 400×200 picture whose loudest point is always 1 and
# whose quietest is always −1. Loudness itself is gone. Read to the letter, the normalisation keeps
# the strongest harmonics and flattens almost everything else towards −1.

# %% tags=["remove-input"]
common.provenance(corpus if at_hand else "synthetic", preset)
