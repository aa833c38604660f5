# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the paper left open
#
# *Which decisions must anyone make who builds the experiment from the paper alone?*

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-cell"]
from repro.report.pages import common, left_open

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
left_open.answer()

# %% [markdown] tags=["published"]
# Of the first three, {doc}`05_readings` measures alternatives on EmoDB, under `coarse`. An average after
# the softmax changes accuracy significantly, and a sum without a softmax diverges. None of the other scales
# that have been run changes accuracy significantly.

# %% [markdown]
# ## Every choice
#
# Each place below is a field of the configuration. Where the paper has words, the default is the
# reading closest to them, except for three where the table says why: `network.attention_average`,
# `network.attention_bn` and `protocol.score`. Where it has none, the default is what is usual, or what
# a public program does. For `network.bilinear_norm` the words disagree: they give one order, and cite a
# program that has the other. (Its number is 20 in a list of references that the text at hand lacks. It
# is taken to be that of {cite:t}`lin2015bilinear`.) For `front_end.scale` two readings are equally
# close, and {doc}`../plan` tests both on nEMO. {doc}`05_readings` measures what the other readings do,
# where that study has been run; `repro run ... --set` tries them.

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-readings", "caption": "Sentences of the paper that can be read in more than one way, with the setting that takes each of the other readings."}}
common.table(left_open.readings())

# %% [markdown]
# ## Where the paper contradicts itself
#
# - The caption of Fig. 2 names neutral, happy and sad; the text leaves happy out and speaks of
#   angry.
# - Attention pooling as derived (Eqs. 9 and 10) has no softmax and sums over positions. As
#   implemented (Section 3.3) it puts a softmax on the bottom-up map and averages. It then weighs
#   positions, and is no longer second-order pooling of rank one.
# - The abstract claims about 3% WA and 4% UA over “the” state-of-the-art method. There is no such
#   method: in Table 1 the best earlier WA and the best earlier UA are of two systems, each well
#   below the other on the other measure.
# - The abstract sets attention pooling against max-pooling as well. No experiment has any.
# - Section 2.4 announces two pooling methods, Section 3.3 compares three.
# - Section 1 gives 68.0% UA, and Table 1 68.06%, which rounds to 68.1%.
#
# Three more places are easily missed:
#
# - Under the default scale, zeros around the input of Conv1 are a bright frame, not silence (see the
#   example in {doc}`01_input_spectrograms`). The larger the filter, the more of it Conv1 sees. Under
#   the scales that only divide, zero is silence.
# - Section 2.1 sets the µ-law against taking logarithms: it is to bring the largest and the smallest
#   value closer together. But Eq. 1 leaves −1, 0 and 1 as they are, and so does nothing to them after
#   the scaling. The reading `front_end.scale=segment-log` takes logarithms as well, and has the words
#   against it.
# - Eq. 1 is called an expansion, but is the compression of the µ-law. Eq. 2 gives the bias of a map the
#   number of one that it is made from. Neither does any harm.
#
# ## What the text does not say
#
# This book was made from the text of the paper, without its figures. What they alone show should
# be checked against them. Figures and tables named on this page are the paper's.
#
# - *The filter shapes of Fig. 2.* The text gives both ranges and speaks of dozens of shapes,
#   without a list. {doc}`02_filter_shapes` tries a selection.
# - *The widths of three layers.* The size of the bilinear feature gives 80 channels for the last
#   layer. The channels of Conv2 to Conv4, and the places of max-pooling, are those of a public
#   program {cite:p}`headfusion`. It pads Conv1 otherwise (`network.padding=symmetric`), and its
#   attention has an average and no softmax. The caption of Fig. 1 says that it
#   gives each layer's channels.
# - *On whom the filters were chosen.* Both shapes were "selected by their WA score" (Section 3.3), and
#   no speakers are named but those of the test. If they were chosen on these, all three rows that the
#   paper adds to its Table 1 are optimistic. They can still be compared with each other, but not with
#   the earlier systems.
# - *The number of utterances.* The paper gives none, and its WA does not settle it (see below).
# - *The spread of the results.* There is neither an interval nor a number of runs.
#   {doc}`09_how_sure` says what an experiment of that size can tell.
#
# ## Was WA counted as it says?
#
# WA is defined as the accuracy over all utterances. A share of a whole number of them can only
# take certain values.

# %% tags=["remove-input"]
left_open.counted()

# %% [markdown]
# ## Decided here without a setting
#
# These choices seemed unlikely to matter, or nobody would read the paper otherwise:
#
# - A segment stands alone, with silence before and after it. The first of its 200 frames is centred on
#   its first sample; frames that begin there, the last three filled up with silence, would be 200 too.
# - Initial weights are those that PyTorch gives its layers.
# - Convolutions have a bias, as in Eq. 2, and so have the last layers, though Eqs. 3, 4 and 9
#   write none. Conv1 has none, as its batch normalisation would take it away.
# - Conv2 to Conv5 keep the size of their input, with zeros around it. Where a filter has an even
#   side, the extra zero comes at the end.
# - Batch normalisation comes before ReLU, and max-pooling after both. The map that is pooled, X, is
#   what comes out of them. The network of Section 3.2 has them too, though GAP is “directly” applied to
#   the map of its one layer. No max-pooling follows Conv1.
# - The softmax of the bottom-up map runs over all positions at once. No ReLU follows the attention
#   maps.
# - Weight decay acts on all parameters, including batch normalisation and biases, as PyTorch's
#   optimiser does it.
# - The last batch of an epoch, which is smaller, is trained on like the others.

# %% tags=["remove-input"]
common.provenance()
