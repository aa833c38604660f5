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
# *The paper's Sections 2.1 to 3.3. How much depends on what the paper leaves open?*
#
# Two people who follow the paper to the letter can build two systems. Where its words allow more than
# one reading, the other pages take the one closest to the words, except for three, which
# {doc}`10_left_open` gives reasons for. This page takes the others, one at a time, and measures what
# each does.

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
from repro.report.pages import common, left_open, variations
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset)

# %% [markdown]
# ## All readings

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-readings", "caption": "Sentences of the paper that can be read in more than one way, the reading taken here and the others."}}
common.table(left_open.readings())

# %% [markdown]
# ## One change at a time
#
# Each change is made to the attention network with all else as it is here; that of the bilinear norm
# is made to the bilinear network, which alone has one. `milestones=+1` is relative to those of the
# preset. A reading that a corpus has no names or labels for is left out, and so are most of them
# under a preset that is made to show the machinery.
#
# An effect is the difference in WA, or in UA, from the default on the same speakers and seeds; who
# speaks is what counts, even where a change holds out something other than speakers. Brackets and
# lines are 95% intervals of a bootstrap that draws whole speakers, and seeds within them. Among so many effects
# some intervals exclude 0 by chance. A star, and a filled point, therefore ask for more: a p-value
# under 0.05 after Holm's correction over all effects on this page. Choosing the best epoch cannot
# lower WA: what it adds is a bias whatever its p-value. Every change is trained anew, so that its
# effect holds what training again does by itself; `score=logits`, which only tests in another way,
# shows how large that can be.

# %% tags=["remove-output"]
data = collect(Run("readings", corpus, root, preset, results, device, precision, seeds))

# %% tags=["remove-input"]
common.left_out(corpus, "readings", preset)

# %% tags=["remove-input"]
common.so_far(data, corpus, root)

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-readings", "caption": "Effect of each reading on WA and UA with its 95% interval, the most influential first. Filled points differ from 0 after Holm's correction over all of them; with fewer than five speakers there are no intervals."}, "image": {"alt": "Forest plot: a row for each change, with a point and an interval for its effect on WA and on UA around a line at zero."}}
found = effects.table(data.predictions)
plots.forest(found)
# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-effects", "caption": "Effect of each reading on WA and UA (points), with 95% intervals."}}
common.table(variations.change_effects(found))

# %% [markdown]
# ## The readings that train best
#
# A reader may want to see the paper at its best, not only as the defaults have it. Choosing the
# readings by their test results would flatter them. They are chosen by training loss alone:
# for each field the value whose networks end training with the lowest loss, averaged over the folds
# of the first seed. The choice is not nested: whoever is tested in one fold is a training speaker in
# the others, and has a part in it. Only changes that keep the training segments, their labels and the
# loss as they are can be compared in this way. Those that leave out utterances or keep tails, merge
# emotions, weight the classes or fold differently are not eligible, nor those that only change how
# scores are made of a trained network. Each field is chosen by itself, so the combination need not be
# the best there is, and a low training loss need not mean good results on new speakers. The losses
# are those of the attention network, and the other poolings have to take what suits it. All this is
# exploratory: no claim is judged by it.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-losses", "caption": "Training loss of the last epoch under the default, and under the value of each field that ends lowest; of the fields that have been run."}}
common.table(variations.training_losses(data), decimals=3)

# %% tags=["remove-input"]
Markdown(variations.luck(data))

# %% [markdown]
# The paper's Table 1 with the defaults and, once every reading has been run, with the chosen ones
# together, on the same folds:

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-table-1-again", "caption": "The paper's Table 1 with the defaults and, where they have been run, with the readings of the lowest training loss."}}
common.table(variations.table_1_again(data.predictions))

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-pairs-again", "caption": "The poolings in pairs, with the defaults and with the readings of the lowest training loss: points of difference with 95% intervals over speakers."}}
common.table(variations.pairs_again(data.predictions))

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
variations.readings_answer(found, data.predictions)

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
