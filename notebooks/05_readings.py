# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Readings
#
# *How much depends on what the paper leaves open? (The paper's Sections 2.1 to 3.3)*
#
# Two people who follow the paper to the letter can build two systems. Where its words allow more
# than one reading, the other pages take the closest, except in three places, for which
# {doc}`10_left_open` gives the reasons. Where it is silent, they take what is usual. This page takes the other readings, one at a time, and measures
# what each does.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from IPython.display import Markdown

from repro.evidence import effects
from repro.report import plots
from repro.report.pages import common, variations
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset)

# %% tags=["remove-cell", "remove-output"]
data = collect(Run("readings", corpus, root, preset, results, device, precision, seeds))
found = effects.table(data.predictions)

# %% tags=["remove-input"]
common.left_out(data)

# %% tags=["remove-input"]
common.state(data)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
variations.readings_answer(found, data.predictions)

# %% [markdown]
# ## One change at a time
#
# Each change is made to the attention network, with all else at its default; the bilinear norm is
# changed in the bilinear network, which alone has one. `milestones=+1` is relative to those of the
# preset.
#
# An effect is the difference in WA, or in UA, from the default on the same speakers and seeds: those
# who speak, even where a change holds out sessions or random utterances. Intervals are over
# speakers ({doc}`09_how_sure`). Among so many effects some intervals exclude 0 by chance, so stars
# and filled points ask for more: a p-value under 0.05 after Holm's correction over all effects of
# the table. The best epoch adds a bias whatever its p-value ({doc}`06_protocol`).
#
# A change of the training is trained anew, so its effect includes what training again does by
# itself.

# %% [markdown] tags=["published"]
# `score=logits` shows how large that can be: it only tests in another way, but its networks were
# trained anew. The default here has other numbers than in {doc}`03_pooling`: it was trained
# with torch's batch statistics and one seed, the networks there exactly and with two.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-readings", "caption": "Effect of each reading on WA and UA with its 95% interval, the most influential first. Filled points differ significantly from 0 after Holm's correction over all of them. With fewer than five speakers there are no intervals. Beyond ±10 points the scale is logarithmic."}, "image": {"alt": "Forest plot: a row for each change, with a point and an interval for its effect on WA and on UA around a line at zero."}}
plots.forest(found)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-effects", "caption": "Effect of each reading on WA and UA (points), with 95% intervals. A star marks p < 0.05 after Holm's correction."}}
common.table(variations.change_effects(found))

# %% [markdown]
# ## Attention without a softmax
#
# The paper's Eqs. 9 and 10 have no softmax, and no average: they add up over positions. Public
# programs leave the softmax out, and average. The table below sets these forms of the layer
# beside the attention and the GAP of {doc}`03_pooling`, all of the first seed and, in the published
# book, trained exactly. Divided by the number of positions, scores and their gradients are smaller by
# that factor, and the two forms without a softmax differ in little but their training.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-attentions", "caption": "Other forms of the attention layer: WA and UA (%), by how many points each is ahead of GAP and of the default form, all with 95% intervals over speakers, which are not corrected for their number, the median training loss of the last epoch, and how many trainings diverged."}}
common.table_if_run(variations.attentions(results, corpus, preset), 2)

# %% [markdown]
# ## The readings that train best
#
# What would the paper's Table 1 be with the readings that train best? Choosing readings by their
# test results would flatter them, so training loss alone decides. Each field takes the value whose
# networks end training with the lowest loss, averaged over the folds of the first seed.
#
# - This is exploratory: no claim is judged by it.
# - The choice is not nested: whoever is tested in one fold has a part in it as a training speaker
#   in the others.
# - Losses can be compared only where networks learn from the same stretches of speech, with the
#   same labels, by the same loss. So no change is eligible that leaves out utterances, keeps tails,
#   merges emotions, splits the folds otherwise or weights the classes. Nor is one that only changes
#   how scores are made of a trained network.
# - Each field is chosen by itself, so the combination need not be the best there is. A low
#   training loss need not mean good results on new speakers.
# - The losses are those of the attention network. The other poolings have to take what suits it.
# - All of it is one seed. Where the order of the poolings turns round, that may be luck.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-losses", "caption": "Training loss of the last epoch, under the default and under the value of each field that ends lowest, for the fields that have been run."}}
common.table(variations.training_losses(data), decimals=3)

# %% tags=["remove-input"]
Markdown(variations.luck(data))

# %% [markdown]
# The readings chosen among those that have been run are put together and tested on the same folds:

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-table-1-again", "caption": "WA and UA (%) with the defaults and, where they have been run, with the readings of the lowest training loss."}}
common.table(variations.table_1_again(data.predictions))

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
