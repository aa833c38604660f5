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
# *How does accuracy change with the shape of the first filters? (The paper's Sections 2.3 and 3.2,
# Fig. 2)*
#
# A filter of 10 bins by 2 frames compares neighbouring frequencies at one moment. One of 2 bins by
# 8 frames follows one frequency through time. How large a stretch of either should the first layer
# see? To keep everything else out of the answer, the paper trains a network that has nothing but a
# first layer.

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
from repro.evidence.learning import loss_of_guessing
from repro.report import plots
from repro.report.pages import common, filter_shapes
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset, of="filter-shapes")

# %% tags=["remove-cell", "remove-output"]
data = collect(Run("filter-shapes", corpus, root, preset, results, device, precision, seeds))

# %% tags=["remove-input"]
common.state(data)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
data = common.settled(data)
filter_shapes.answer(data)

# %% [markdown] tags=["published"]
# The same shapes were trained on nEMO, where some of the claims are contradicted
# ({doc}`02_filter_shapes_nemo-coarse-network-stride-1-1`).

# %% [markdown]
# ## A network of one layer
#
# The network is one convolution with 16 filters of one shape, batch normalisation, ReLU, the mean
# over the whole map, and a fully connected layer from 16 numbers to 4 scores. One side of the
# filter stays at 2 while the other grows.
#
# A filter that reaches over the edge of a segment reads zeros, as the paper says nothing else.
# Under the default scale they are louder than nearly all of the example of
# {doc}`01_input_spectrograms`, and longer filters meet more of them. What the sweep finds of long
# filters may in part be that. Under a scale that only divides, such as `segment-max`, zero is silence.
#
# ## Training
#
# One network is trained for each shape, held-out speaker and seed. Where a network's loss stays near
# that of guessing, it has hardly learnt, and its accuracy says little of its shape.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-shapes-scores", "caption": "How far each network got: WA (%) with its 95% interval, and the training loss of the last epoch (the median, and from the least to the greatest)."}}
summary = metrics.summary(data.predictions)
common.table(common.outcome(data), 2)

# %% [markdown]
# ## The paper's Fig. 2
#
# The paper's figure has WA and three of the four emotions; its caption and its text disagree on
# which ({doc}`10_left_open`). This page draws all four, with intervals over speakers
# ({doc}`09_how_sure`).

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-shapes", "caption": "Accuracy by filter shape. Top: width 2, height varies. Bottom: height 2, width varies. One step is 10 Hz or 10 ms. Band: the 95% interval of WA. Dotted: always naming the commonest emotion. Where curves coincide, a marker stands within another."}, "image": {"alt": "Two line charts of weighted accuracy and the accuracy of each emotion, above against filter height and below against filter width."}}
plots.filter_shapes(summary, metrics.majority(data.predictions))

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-shapes-loss", "caption": "Training loss for each shape. Thin lines are single folds, thick ones their median; the dotted line is the loss of guessing."}, "image": {"alt": "Line chart of cross-entropy by epoch, a colour for each filter shape."}}
plots.histories(data.history, loss_of_guessing(data.predictions))

# %% [markdown]
# ## Verdicts
#
# Each claim about the paper's Fig. 2 has a test that was fixed before any result of the study on
# real speech was looked at, with the exceptions that {doc}`09_how_sure` lists. Where no shape is
# better than always naming the commonest emotion, by the interval of its WA, all claims are
# undecided, and the table says so. A claim that something stays level can be supported by narrow
# intervals alone. Where they are too wide for that, the table says so; such a claim can still be
# contradicted. Holm's correction is stricter where more shapes are compared: one difference can
# decide one claim and not another.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-shapes-verdicts", "caption": "The paper's claims on filter shapes, and what the results say of them."}}
common.verdicts(data.predictions)

# %% tags=["once", "remove-input", "hide-output"] mystnb={"code_prompt_show": "How each claim is tested", "code_prompt_hide": "How each claim is tested"}
common.tests(data.predictions)

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
