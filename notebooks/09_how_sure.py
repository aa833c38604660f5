# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How sure are we?
#
# *What do the intervals of this book mean, how often do they hold the truth, and what could an
# experiment of this size find at all?*

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
from repro.evidence import simulation
from repro.report import plots
from repro.report.pages import board, common, poolings, power

plots.use_style()
evidence = board.gathered({}, results).predictions
held = simulation.coverage()
measured = power.differing(results, corpus, root, preset)
sizes, differing = power.corpus_sizes(), measured or simulation.ASSUMED
found, errors = simulation.power(sizes, differing), simulation.errors(sizes, differing)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
power.answer(held, errors, found)

# %% [markdown]
# ## What the intervals are
#
# Utterances of one speaker resemble each other: a voice that is easy to recognise is easy all day.
# Five hundred utterances of ten speakers are therefore not five hundred independent trials. The
# intervals of this book come from a bootstrap that draws whole speakers with replacement, each with all
# seeds with which the fold of that speaker was trained. (A seed decides the initial weights and the
# order of the segments, for every fold anew. So the luck of a training is part of what speakers differ
# by.) Two systems are compared on the same draws. With few speakers such an
# interval is too narrow; its levels are widened as for a t-interval
# {cite:p}`hesterberg2015bootstrap`. With fewer than five speakers there is none.
#
# Beside the difference of two poolings stands the p-value of another test. If the two were alike,
# all their answers for any speaker could just as well be exchanged; of all such exchanges, how many
# give a difference at least as large? It enters no verdict. Where p is not small and a verdict is
# definite, the call is close.
#
# ## Do they hold the truth?
#
# A computer can make up experiments whose truth is known. In each, speakers have accuracies of their
# own around the same mean, each training adds some luck to the accuracy on its speaker, and every
# utterance is recognised or not by chance.
# {numref}`tab-coverage` counts how many of the intervals hold the mean. It should be 95 of a hundred.
# Beside it stands what comes of taking utterances as independent (Wilson's interval): the more
# speakers differ, the more it overpromises.

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "tab-coverage", "caption": "Share of 95% intervals that hold the truth, from simulated experiments."}}
common.table(held)

# %% [markdown]
# Verdicts rest on differences of two systems. {numref}`tab-errors` counts how often the interval of a
# difference lies above 0, or below it, though there is none on average. Either should happen in 2.5 of
# a hundred. Where a few speakers gain much and the others lose a little, it can lie below 0 more often
# than where gains scatter evenly to both sides, and the more so the more speakers differ: an experiment
# that lacks such speakers sees the loss alone.

# %% tags=["remove-input"]
power.supposed(measured, corpus, preset)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-errors", "caption": "How often the interval of a difference leaves out 0 where there is none on average, from simulated experiments of the size of two corpora."}}
common.table(errors)

# %% tags=["remove-input"]
power.simulated()

# %% [markdown]
# ## What could be found?
#
# An interval that holds the truth may still be too wide to tell anything. {numref}`fig-power` shows
# how often a true gain of one system over another is found, in experiments of the size of EmoDB and
# of IEMOCAP. The dotted line is the paper's gain of attention over average pooling.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-power", "caption": "How often a true gain in WA is found, by its size, from simulated experiments of the size of two corpora."}, "image": {"alt": "Two rising curves: the share of experiments that find a gain, against the size of the gain, for EmoDB and for IEMOCAP; a dotted line marks the gain of the paper."}}
plots.power(found, poolings.attention_gain(), "the paper's gain")

# %% tags=["remove-input"]
power.reach(evidence)

# %% [markdown]
# ## What would be expected on IEMOCAP?
#
# IEMOCAP needs a licence. Whoever has it can know beforehand which outcome would support the paper,
# and which would agree with what was seen on other corpora. The table below makes up
# experiments with IEMOCAP's speakers and utterances, in which each network is trained once and two
# poolings disagree as they do where they were measured.
#
# *Measured* is the difference of two poolings that was found where they were trained. *Spread* is by
# how many points it differs between speakers (standard deviation). It is estimated from few speakers:
# it can come out as 0 by luck, and then too little seems needed.
#
# *Needed* is by how many points one pooling must be found ahead for its 95% interval to leave out
# 0. It is the median: in half of the experiments less is enough, in the others it takes more. A
# much smaller difference decides nothing, whatever its sign. The last two columns say how often, in
# per cent of the experiments, the first pooling would be found significantly ahead of the second,
# and behind it: if the paper's number is the truth, and if what was measured is. In UA all
# emotions are taken to gain alike; where they do not, it takes more.
#
# A gain of attention over GAP as small as the paper's lies far below what is needed. If it is true, an
# experiment on IEMOCAP will most likely leave it undecided, as the paper's own most likely was, and
# only a difference many times as large would tell.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-iemocap", "caption": "What an experiment on IEMOCAP would find of the differences of the paper's Table 1, in points of WA, from simulated experiments. The CSV file has UA as well."}}
power.on_iemocap(evidence)

# %% [markdown]
# ## Several corpora at once
#
# Where several corpora have results of the same study under the same settings, an effect can also
# be estimated over all of them: its mean, each corpus with the same weight. The bootstrap draws
# speakers within each corpus. No verdict rests on it. Beside it stands the comparison that decides
# on each corpus by itself. Where that is another one, the cell names it, and the mean is not that
# of the cells. Where the corpora disagree, the mean speaks for neither.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-together", "caption": "The effects that claims rest on, over all corpora that have them, with 95% intervals: in points, unless the cell says rank correlation."}}
power.together(evidence)

# %% [markdown]
# ## What was changed after results were seen
#
# The tests of claims were written before any result of their studies on real speech was looked at,
# with these exceptions. All results that had been seen are of EmoDB, but for the trials on one speaker
# of nEMO that {doc}`../plan` lists; that speaker is one of the nine. These changed a verdict:
#
# - The two best shapes may be up to 2 points behind another of their sweep, as the paper itself
#   finds heights above 10 as good. By itself this would have turned the verdict on them from
#   contradicted into undecided.
# - Under `coarse` the sweep on EmoDB had contradicted that the two best shapes are best. No network
#   of it recognised a neutral or a happy utterance, and for a time no such sweep was judged. Now
#   all claims on shapes are undecided if no shape is better than always naming the commonest
#   emotion: the lower end of its interval of WA must lie above that emotion's share. The plan says
#   so of the claims on where accuracy peaks; the others follow it. As three shapes of seven are
#   better, the six claims turned from not testable into undecided.
# - The poolings under `coarse` are judged by networks trained with exact batch statistics, and one
#   seed. They had been judged by two seeds trained with torch's. The main claim turned from
#   contradicted into undecided. The difference hardly moved ({doc}`11_how_fast`). One seed with torch's
#   had just contradicted it by itself, in UA; one exact seed just does not, in either.
# - Then they were trained exactly with the second seed as well. It was known by then that two less
#   exact seeds contradict the main claim, and that one exact seed leaves it undecided. It turned from
#   undecided into contradicted.
#
# ```{admonition} And these changed none
# :class: dropdown
#
# - The bootstrap draws 20,000 times instead of 4,000, so that the ends of an interval do not
#   depend on luck.
# - The whole interval must lie above the margin over earlier work, where it had only to lie above
#   0 and to reach the margin. It is tested on IEMOCAP alone, of which there were no results.
# - That attention pooling beats bilinear pooling as well, as the paper says by calling it the best
#   of all, was added as a claim of its own.
# - An exact test that exchanges two poolings speaker by speaker stands beside their difference. It
#   enters no verdict.
# - The poolings were trained with a second seed after the first had been judged. The main verdict
#   had been a close call by the exact test.
# - Speakers alone are drawn, with all their seeds. Seeds had been drawn as well: at first for all
#   speakers at once, as if the folds of one seed had something in common, then within speakers. Both
#   made intervals from several seeds too wide, as simulated experiments show. Intervals from one seed
#   are the same.
# - A sweep in which only happy is never recognised was judged, as the paper itself calls happy the
#   worst whatever the shape. On EmoDB neutral is not recognised either.
# - What the poolings do under the readings that train best had been given verdicts. It is
#   exploratory, and shown without any.
# - On EmoDB attention and the plain average were trained four times as long as well, when the
#   results of fifty epochs had been seen ({doc}`03_pooling`). It is exploratory, and judged by no
#   claim.
# - Results under the second reading of the scale (`front_end.scale=segment-max`), and of the sweep
#   at the paper's stride, are judged, as the plan says that they are. Changed settings had made
#   every claim not testable. EmoDB had no such results then.
# - The sweep is judged under the preset `paper`, on seven of its shapes, trained with exact batch
#   statistics. It had been judged under `coarse`, trained with torch's.
# - The poolings under `paper` are judged by networks trained in float32 on a GPU. They had been judged
#   by networks trained in bfloat16, with torch's batch statistics.
# - A claim is judged on nEMO once every fold of the networks that it compares is trained. The plan
#   had asked for all networks of the study. This was changed before any of its results was looked
#   at: the order of training puts the main claim's two networks first.
# - A claim on filter shapes is judged on nEMO once all shapes of the plan are trained. Those that a
#   claim could be tested on had been enough. None was trained then.
# - On nEMO the baselines, which bear on no claim, were run before the other studies of the plan.
# - `repro.claims`, which the plan names, is now `repro.evidence.claims`.
# - The plan counts eighteen verdicts. It makes twenty-four, as its studies a and c both judge the
#   claims on poolings. One definite verdict by luck is still about what to expect.
# - A further seed counts once all networks of a study have been trained with it on every speaker. It
#   had made claims not testable as soon as it was begun.
# - Claims on poolings, too, are not testable where an emotion has no utterances. Nor is a claim on
#   UA or on an emotion where fewer than five speakers have it. Draws of speakers of whom none has
#   an emotion no longer count in UA. All speakers of EmoDB and nEMO have all four emotions.
# - Where several things are compared and all speakers agree to the last utterance, the search for one
#   that contradicts a claim had found none. It does now. No speakers agree so.
# - A remark on an interval that lies wholly elsewhere, and yet does not contradict, says whether the
#   t-test or only Holm's correction stands against it.
# - Two statistics of the logistic regression, which bears on no claim, were mended after its results
#   had been seen. Digital silence had counted as a loudness of −300 dB, and a pause as a jump in pitch.
# - Over several corpora at once, no effect on filter shapes is shown until nEMO has all shapes of
#   the plan. What it had of them had been shown so, which the plan does not allow. Nor is a best
#   shape named any more before that, as {doc}`02_filter_shapes` had done of those that were
#   trained.
# ```
#
# ## What the intervals leave out
#
# - *Other corpora.* Intervals are about other speakers of the same kind, in the same room, saying
#   the same things. EmoDB has ten sentences and nEMO ninety, which every speaker says: those of a test
#   are all heard in training, and what a network does on another sentence is in no interval.
# - *Other speakers to train on.* Any two networks share all but one of their training speakers. A
#   bootstrap over those who are held out cannot show what training on other people would do.
# - *What listeners disagree on.* The labels are taken as true.
# - *Searching.* A claim that something is best, or that many changes include one that matters, is
#   corrected for the number of comparisons by Holm's method, each part of a claim by itself. The
#   list of claims as a whole is not: of twenty without any truth in them, at least one would be
#   expected to come out definite, and more where a few speakers carry what is measured
#   ({numref}`tab-errors`). Each test of a claim has a verdict of its own, without a correction over
#   the tests: the main claim has four planned tests on nEMO alone, and any of them may come out
#   definite by luck. The readings and the protocol get no verdicts; their effects are corrected,
#   each table of effects by itself.
# - *Choices made here.* Where the paper is silent this book took one reading; {doc}`10_left_open`
#   lists them; {doc}`05_readings` is where they are measured.

# %% tags=["remove-input"]
common.provenance()
