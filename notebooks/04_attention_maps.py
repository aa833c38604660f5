# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Attention maps
#
# *Where does the network look, and is it where speech is loud or where it has a pitch? (The
# paper's Sections 2.4.2 and 3.3)*
#
# Attention pooling weighs the positions of the last map before it adds them up. The paper argues
# that many regions of a spectrogram may have little to do with emotion, and that attention stands for
# what is salient, but it shows no map. This page shows some, and asks whether they follow something
# simple: a band of frequencies, the energy of the sound, or periodicity, which is strongest where
# speech has a pitch.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from repro.report import plots
from repro.report.pages import attention, common
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset)

# %% tags=["remove-cell", "remove-output"]
data = attention.with_maps(
    collect(
        Run("pooling", corpus, root, preset, results, device, precision, seeds, only="attention")
    )
)
averages = attention.averages(common.settled(data).attention)

# %% tags=["remove-input"]
common.state(data)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
attention.answer(averages, data.examples, preset)

# %% [markdown] tags=["published"]
# Where attention lies differs from run to run. In the maps that results keep, nearly all of it is below
# 1 kHz on nEMO, under both scales, and less than half on EmoDB under `paper`. Along time the bottom-up map hardly follows energy
# or periodicity in any of these runs, each of which has a page behind this one.

# %% [markdown]
# ## Two maps
#
# The **bottom-up map** is one for all emotions: a softmax makes it a share of attention for each
# position. The **top-down map** of an emotion says how much each position speaks for it. The score
# of an emotion is the sum of their product: {eq}`eq-attention`, with the softmax of $X b$ in place
# of $X b$. All maps here are of held-out speakers, whom the network has never heard.

# %% tags=["remove-input"]
attention.map_size(preset)

# %% [markdown]
# ## Utterances that were recognised
#
# For each emotion, this is the first utterance of the corpus that was recognised, and its segment
# that scores highest for the emotion. The input is downsampled, on a scale that brings out what is
# faint. It is laid over the maps in white; brighter colours mean more, on a scale of each map's own.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-maps-right", "caption": "Attention maps of utterances that were recognised. Rows: the input, the bottom-up map, the top-down map of the emotion."}, "image": {"alt": "Spectrograms of up to four utterances, one of each emotion, and below each the bottom-up and the top-down attention map laid over it."}}
plots.attention_examples(data.examples, right=True)

# %% [markdown]
# ## Utterances that were mistaken
#
# The same for the first utterance of each emotion that was taken for another.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-maps-wrong", "caption": "Attention maps of utterances that were mistaken. Rows as above; the top-down map is that of the emotion that the utterance was taken for."}, "image": {"alt": "Spectrograms of up to four utterances that were mistaken, and below each the bottom-up and the top-down attention map laid over it."}}
plots.attention_examples(data.examples, right=False)

# %% [markdown]
# ## High or low?
#
# Results keep the maps of a few utterances of each speaker, of the first seed. Here their attention is
# added up over time.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-frequency", "caption": "Bottom-up attention by frequency: the mean of the maps that are kept, and of those of each emotion. A plain average has 1 everywhere."}, "image": {"alt": "Lines of attention against frequency from 0 to 4 kHz, one for all maps and one for each emotion, around a dotted line at one."}}
plots.by_frequency(attention.by_frequency(data.examples))

# %% tags=["remove-input"]
attention.at_the_edge(data.examples)

# %% [markdown]
# ## Energy or pitch?
#
# A few pictures prove nothing, so the maps of all test segments are measured. Each is summed over
# frequency to a curve along time and compared with two others:
#
# - the *energy* of the sound;
# - its *periodicity*, for pitch: its strength between 75 and 500 Hz, which is the highest peak
#   of the normalised autocorrelation of 40 ms.
#
# The measure is Spearman's rank correlation, so the scale of the energy does not matter. It is 1
# where two curves rise and fall together, −1 where one falls as the other rises, and near 0 where
# neither tends to follow the other. Loud speech is mostly voiced, so the two correlations share
# much.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-agreement", "caption": "Rank correlation over time of each map with the energy of the sound and with its periodicity: means over utterances, with 95% intervals where there are five speakers or more."}, "image": {"alt": "Two charts of points with intervals, for the bottom-up and the top-down map: the correlations with energy and with periodicity for all utterances, for each emotion, and for those recognised and those mistaken."}}
plots.agreement(averages)

# %% [markdown]
# Columns of the silence that fills a short utterance up are left out of the correlations. These are
# averaged over an utterance's segments, then over utterances. Intervals are over speakers
# ({doc}`09_how_sure`), without a correction for their number. The top-down map is that of the
# emotion that the utterance was taken for. An utterance that is recognised with one seed and
# mistaken with another counts in both groups.
#
# Periodicity is a limited measure of pitch. It is taken in soft frames as in loud ones, whereas
# pitch trackers have a threshold (Praat's is 3% of the greatest amplitude). What hums in a pause
# may count as periodic. This pulls the correlation with it towards 0, so a weak one is no sign
# that a map ignores voiced speech.

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
