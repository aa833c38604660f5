# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Protocol
#
# *The paper's Section 3.1. By how much can the way of testing alone raise the numbers?*
#
# Numbers of two papers can be compared only if they tested alike. The paper holds out one speaker
# at a time and says nothing of a validation set, of short utterances or of excited ones. Other
# papers on the same data split it otherwise, some of them so that the network has heard the test
# speakers before. This page trains the same attention network each time and changes only the rules
# of the test: which utterances are trained on and tested, and after which epoch.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from repro.evidence import effects
from repro.report import plots
from repro.report.pages import common, variations
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
common.notice(corpus, preset)

# %% [markdown]
# ## The traps
#
# - **Random split.** Utterances are dealt into ten parts. Each speaker is in the training and in the
#   test data.
# - **The letter in the name.** IEMOCAP's `Ses01F_impro04_M003` is said by the man of session 1. The
#   `F` before the first underscore says who wore the motion-capture markers. Folds built from it
#   hold out half of what two people said, and train on the other half.
# - **Sessions.** Two speakers are held out at a time, which leaks nothing, but leaves less to train
#   on.
# - **The best epoch.** Without a validation set the number of epochs has to be fixed beforehand. To
#   test after each and report the best is to choose on the test speaker.
# - **Short utterances.** What is shorter than a segment may be harder to recognise. Leaving it out
#   may make the test easier, whatever the network.
# - **Excited.** Counting it as happy makes the smallest class of IEMOCAP the largest but one.
#
# A trap that a corpus has no names or labels for is left out, and so are some of them under a preset
# that is made to show the machinery.

# %% tags=["remove-output"]
data = collect(Run("protocol", corpus, root, preset, results, device, precision, seeds))

# %% tags=["remove-input"]
common.left_out(corpus, "protocol", preset)

# %% tags=["remove-input"]
common.so_far(data, corpus, root)

# %% [markdown]
# ## Their size
#
# Against the default: held-out speakers, the last epoch, every utterance, happy alone. Differences
# are taken on the same speakers and seeds, utterance by utterance if both test the same, otherwise
# between the two numbers that would be reported. Brackets and lines are 95% intervals of a bootstrap
# that draws whole speakers, and seeds within them. A star, and a filled point, stand for a p-value under 0.05
# after Holm's correction over all effects on this page. Choosing the best epoch cannot lower WA: what
# it adds is a bias whatever its p-value, and only its size is in question.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-protocol", "caption": "What each trap adds to WA and UA, with its 95% interval, the most influential first. Filled points differ from 0 after Holm's correction over all of them; with fewer than five speakers there are no intervals."}, "image": {"alt": "Forest plot: a row for each trap, with a point and an interval for its effect on WA and on UA around a line at zero."}}
found = effects.table(data.predictions)
plots.forest(found)
# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-traps", "caption": "What each trap adds to WA and UA (points), with 95% intervals."}}
common.table(variations.traps(found))

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
variations.protocol_answer(found, data.predictions)

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
