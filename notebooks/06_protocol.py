# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ways of testing
#
# *By how much can the way of testing alone raise the numbers? (The paper's Section 3.1)*
#
# The numbers of two papers can be compared only if both tested alike. This paper holds out one
# speaker at a time, and says nothing of a validation set, of short utterances or of excited ones.
# Others split the same data otherwise; in some of them the network has heard the test speakers
# before. This page trains the same attention network each time and changes only the rules of the
# test: which utterances are trained on and tested, and after which epoch.

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

# %% tags=["remove-cell", "remove-output"]
data = collect(Run("protocol", corpus, root, preset, results, device, precision, seeds))
found = effects.table(data.predictions)

# %% tags=["remove-input"]
common.left_out(data)

# %% tags=["remove-input"]
common.state(data)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
variations.protocol_answer(found, data.predictions)

# %% [markdown]
# ## The traps
#
# - **Random split.** Utterances are dealt into ten parts, so each speaker is in training and in
#   test.
# - **The letter in the name.** The man of session 1 says IEMOCAP's `Ses01F_impro04_M003`. The `F`
#   before the first underscore says who wore the motion-capture markers. Folds by that letter hold
#   out half of what two people said and train on the other half.
# - **Sessions.** IEMOCAP is spoken in pairs. If one speaker is held out, the partner's turns of the
#   same dialogues, recorded in the same room, stay in training. Holding out the session (leave one
#   session out) removes both, and leaves less to train on.
# - **The best epoch.** Without a validation set the number of epochs has to be fixed beforehand.
#   Reporting the best of all epochs chooses on the test speaker.
# - **Short utterances.** What is shorter than a segment may be harder to recognise. Leaving it out
#   may make the test easier, whatever the network.
# - **Excited.** Counting it as happy makes the smallest class of IEMOCAP the largest but one.
#
# One public program {cite:p}`headfusion`, which holds this network, does several of these at once: it
# splits utterances at random, takes excited ones in the place of happy ones, and leaves out those under
# two seconds.

# %% [markdown]
# ## Their size
#
# Each trap is compared with the default: held-out speakers, the last epoch, every utterance, happy
# alone. Differences are taken on the same speakers and seeds: utterance by utterance if both test
# the same ones, otherwise between the two numbers that would be reported. Intervals are over
# speakers ({doc}`09_how_sure`). The best epoch cannot lower WA: it adds a bias whatever its
# p-value, and only its size is in question.

# %% [markdown] tags=["published"]
# The default here has other numbers than attention has in {doc}`03_pooling`: it was trained with
# torch's batch statistics and one seed, the networks there exactly and with two.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-protocol", "caption": "What each trap adds to WA and UA, with its 95% interval, the most influential first. Filled points differ significantly from 0 after Holm's correction over all of them. With fewer than five speakers there are no intervals. Beyond ±10 points the scale is logarithmic."}, "image": {"alt": "Forest plot: a row for each trap, with a point and an interval for its effect on WA and on UA around a line at zero."}}
plots.forest(found)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-traps", "caption": "What each trap adds to WA and UA (points), with 95% intervals. A star marks p < 0.05 after Holm's correction over all effects on this page."}}
common.table(variations.traps(found))

# %% tags=["remove-input"]
common.provenance(corpus, preset, data.folds)
