# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Filter shapes
#
# *The paper's Sections 2.3 and 3.2, Fig. 2. How does accuracy change with the shape of the first
# filters?*
#
# A filter that is 10 bins high and 2 frames wide compares neighbouring frequencies at one moment; one
# that is 2 bins high and 8 frames wide follows one frequency through time. The paper asks how large
# a stretch of either the first layer should see. To keep everything else out of the answer, it
# trains a network that has nothing but a first layer.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from repro.evidence import metrics
from repro.report import plots
from repro.report.pages import common, filter_shapes, left_open
from repro.study import grids
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset, of="filter-shapes")

# %% [markdown]
# ## The paper's network of one layer
#
# One convolution with 16 filters of one shape, batch normalisation, ReLU, the mean over the whole
# map, and a fully connected layer from 16 numbers to 4 scores. One side of the filter is held at 2
# while the other grows.
#
# Where a filter reaches over the edge of a segment it reads zeros, as the paper says nothing else. On
# the scale of its Section 2.1 they are louder than nearly all of the speech
# ({doc}`01_input_spectrograms`), and the longer the filter, the more of its map they touch: what the
# sweep finds of long filters may in part be that. `network.padding` has other values to tell; no
# sweep has been run with them.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-shapes", "caption": "The shapes, and how many parameters a network with each of them has."}}
grid = grids.variants("filter-shapes", preset)
shapes = common.parameters(grid).rename(columns={"variant": "height × width"})
common.table(shapes)

# %% [markdown]
# ## Training
#
# Every shape is trained once for each held-out speaker and seed. Folds that the results file
# already holds are not trained again; without a file, results go to a temporary folder. Where the
# corpus is not at hand, the page shows what the file holds.

# %% tags=["remove-output"]
data = collect(Run("filter-shapes", corpus, root, preset, results, device, precision, seeds))

# %% tags=["remove-input"]
common.so_far(data, corpus, root)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-shapes-scores", "caption": "How far each network got: WA (%) with its 95% interval, its distance from always naming the commonest emotion (points), the mean training loss of the last epoch beside that of guessing, and the steps of training beside those of the paper on IEMOCAP."}}
summary = metrics.summary(data.predictions)
common.table(common.learnt(data), 2)

# %% [markdown]
# ## The paper's Fig. 2
#
# The band around WA is its 95% interval, from a bootstrap that draws whole speakers; with fewer
# than five speakers there is none. The dotted line is what always naming the commonest emotion
# would reach. The paper's figure has WA and three of the four emotions: its caption names neutral,
# happy and sad, while the text discusses angry and says that happy was left out. All four are drawn
# here.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-shapes", "caption": "Accuracy by filter shape. Top: width 2, height varies. Bottom: height 2, width varies. One step is 10 Hz or 10 ms. Dotted: always naming the commonest emotion. Where curves coincide, the larger marker lies below."}, "image": {"alt": "Two line charts of weighted accuracy and the accuracy of each emotion, above against filter height and below against filter width."}}
plots.filter_shapes(summary, metrics.majority(data.predictions))
# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-shapes-loss", "caption": "Training loss for each shape; thin lines are single folds, the dotted line is the loss of guessing."}, "image": {"alt": "Line chart of cross-entropy by epoch, a colour for each filter shape."}}
plots.histories(data.history)

# %% tags=["remove-input"]
filter_shapes.unlearnt(data.predictions)
# %% [markdown]
# ## Verdicts
#
# Each claim the paper makes about Fig. 2 has a test that was fixed before any result of the study
# on real speech was looked at, with the exceptions that {doc}`09_how_sure` lists. Where no shape is
# better than always naming the commonest emotion, by the interval of its WA, all are undecided.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-shapes-verdicts", "caption": "The paper's claims on filter shapes, and what the results say of them."}}
common.verdicts(data.predictions)

# %% tags=["remove-input", "hide-output"] mystnb={"code_prompt_show": "How each claim is tested", "code_prompt_hide": "How each claim is tested"}
common.tests(data.predictions)

# %% [markdown]
# ## What the paper leaves open here

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-readings-training", "caption": "Sentences on training and test that can be read in more than one way."}}
common.table(left_open.readings("training", "protocol"))

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
filter_shapes.answer(data.predictions)

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
