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
# the reading closest to the words; the others can be tried with `--set`, one at a time.
# {doc}`05_readings` measures what each does.

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
# The caption of its Fig. 2 names happy among the curves, while the text says that happy was left out.
# (The abstract and Table 1 agree; the abstract rounds.)
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
