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
# *Which decisions does a reader have to make who wants to build the experiment from the paper alone?*
#
# Every paper leaves something out. Each place below is a field of the configuration. The default is
# the reading closest to the words; the others can be tried with `repro run ... --set`, one at a time.
# {doc}`05_readings` is the page that measures what each does, where that study has been run.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
seeds = 1

# %% tags=["hide-input"]
from repro.pages import common, left_open

left_open.choices()

# %% [markdown]
# ## Where the paper contradicts itself
#
# - The caption of Fig. 2 names neutral, happy and sad; the text says that happy was left out, and
#   speaks of angry.
# - The derivation of attention pooling (Eqs. 9 and 10) has no softmax and sums over positions; the layer
#   of Section 3.3 puts a softmax on the bottom-up map and averages. With the softmax it weighs
#   positions, and is no longer second-order pooling of rank one.
# - The abstract sets attention pooling above max-pooling, which no experiment of the paper tests.
# - Eq. 1 is called an expansion; it is the compression of the µ-law.
#
# The abstract and Table 1 agree: the abstract rounds.
#
# ## What cannot be told at all
#
# - *The filter shapes of Fig. 2.* The paper gives both ranges and speaks of dozens of shapes, without a
#   list. {doc}`02_filter_shapes` tries a selection within them.
# - *The widths of three layers.* The text gives 80 channels for the last layer, through the size of the
#   bilinear feature. Those of Conv2 to Conv4 are taken from public programs that build the same network.
# - *The spread of the results.* There is neither an interval nor a number of runs behind the published
#   numbers; {doc}`09_how_sure` says what an experiment of that size can tell.
#
# ## Answer

# %% tags=["hide-input"]
left_open.answer()

# %% tags=["hide-input"]
common.provenance("none", "none")
