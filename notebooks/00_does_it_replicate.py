# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does it replicate?
#
# {cite:t}`li2018attention` trained a small convolutional network to tell from two seconds of a
# spectrogram whether a speaker is neutral, happy, sad or angry. They reported that the shape of its
# first filters matters, and that it does best when it learns where in the spectrogram to look
# (*attention pooling*) instead of taking the mean over all of it (*global average pooling*, GAP).
# This book builds the experiment again from the text of the paper, runs it, and tests the paper's
# claims. WA is the share of all utterances that are recognised; UA is the mean of that share over the
# four emotions.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-cell", "remove-output"]
from contextlib import suppress

import pandas as pd
from IPython.display import display

from repro.errors import NoResultsError
from repro.evidence import claims, simulation
from repro.report import plots
from repro.report.pages import common, first, poolings, wording
from repro.study.plan import Run
from repro.study.read import collect, held

plots.use_style()
found = {}
for name in ("pooling", "filter-shapes"):
    with suppress(NoResultsError):  # its claims are then not testable, and the page says so
        found[name] = collect(Run(name, corpus, root, preset, results, device, precision, seeds))
predictions = pd.concat([pd.DataFrame(), *(data.predictions for data in found.values())])
judged = claims.judge(predictions)

# %% tags=["remove-input"]
first.answer(judged, predictions)

# %% tags=["remove-input"]
first.gain_by_preset(poolings.other_presets(corpus, preset, results))

# %% tags=["remove-input"]
common.notice(corpus, preset, sweep=True)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-verdicts", "caption": "The claims of the paper that can be tested here, with what the results say of each."}}
first.marks(judged, predictions)

# %% tags=["remove-input"]
readings = None
with suppress(NoResultsError):
    if results is not None:
        readings = held(Run("readings", corpus, root, preset, results))
first.at_its_best(readings)

# %% tags=["remove-input"]
first.untested(judged)

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-first", "caption": "The three poolings here and in the paper: weighted accuracy (WA) and unweighted accuracy (UA), with 95% intervals. Dotted: what naming the commonest emotion of either corpus (WA) and guessing (UA) would reach."}, "image": {"alt": "Points with intervals: weighted and unweighted accuracy of each pooling, here and in the paper."}}
if "pooling" in found:
    pooling = found["pooling"].predictions
    display(plots.poolings(poolings.here_and_in_paper(pooling), wording.run(pooling)))

# %% tags=["remove-input"]
if "pooling" in found:
    display(poolings.gain_needed(simulation.disagreement(pooling, "attention", "gap")))

# %% tags=["remove-input"]
if "pooling" in found and (steps := common.fitted(found["pooling"], corpus)):
    display(steps)

# %% tags=["remove-input"]
for data in found.values():
    if unfinished := common.so_far(data, corpus, root):
        display(unfinished)

# %% [markdown]
# ## Where to read on
#
# ```{list-table}
# :header-rows: 1
# :widths: 34 66
#
# * - Page
#   - Question
# * - {doc}`01_input_spectrograms`
#   - What does the network see, and what does each step of the normalisation do to it?
# * - {doc}`02_filter_shapes`
#   - How does accuracy change with the shape of the first filters?
# * - {doc}`03_pooling`
#   - Which pooling is best, and by how much?
# * - {doc}`04_attention_maps`
#   - Where does the network look, and is it where speech is loud or where it has a pitch?
# * - {doc}`05_readings`
#   - How much depends on what the paper leaves open?
# * - {doc}`06_protocol`
#   - By how much can the way of testing alone raise the numbers?
# * - {doc}`07_recovery`
#   - If the stretch that matters were known, would the sweep of filter shapes find it?
# * - {doc}`08_paper_in_one_page`
#   - What did the paper do, and what did it find?
# * - {doc}`09_how_sure`
#   - How sure are we, and what could such an experiment find?
# * - {doc}`10_left_open`
#   - What did the paper leave unsaid, and where does it contradict itself?
# * - {doc}`11_how_fast`
#   - How long does it take, and why?
# * - {doc}`../run`
#   - How do I run this on my laptop, on a GPU, on IEMOCAP?
# * - {doc}`../corpora`
#   - Which corpora can be used, under which licences, and how do I get them?
# ```
#
# ## How to read the verdicts
#
# Every claim has a test that was fixed before any result of its study on real speech was looked at,
# with the exceptions that {doc}`09_how_sure` lists; the pages state it. A claim is *supported* when
# every 95% interval that it rests on lies where the claim puts it, *contradicted* when one of its
# effects lies significantly elsewhere, and *undecided* otherwise. Where many shapes are compared, a
# contradiction must also survive Holm's correction, so that an interval may lie elsewhere and the
# claim still be undecided. A claim about WA and UA is supported by both, and contradicted by
# either. The intervals come from a bootstrap that draws whole speakers (and seeds within them, where
# there are several), because utterances of one speaker are not independent. Beside the difference of two
# poolings stands the p-value of an exact test that exchanges the two speaker by speaker: it enters
# no verdict, and tells which are close calls. A verdict is about the corpus and the preset at the
# top of the page, and about the readings and the precision that it was trained with. What other
# readings give ({doc}`05_readings`), or another precision ({doc}`11_how_fast`), is shown with its
# intervals and without a verdict. What ten speakers can show at all is said in {doc}`09_how_sure`.
#
# *Weighted accuracy* (WA) counts utterances, so that common emotions decide; in *unweighted accuracy*
# (UA) a rare emotion counts as much as a common one. Both are measured on speakers that the network has never
# heard: in each fold one speaker is held out and all others are trained on. The paper used the
# improvised dialogues of IEMOCAP {cite:p}`busso2008iemocap`; claims about published numbers can be
# tested on that corpus alone.
#
# ## Where the paper leaves a choice
#
# Wherever the words leave a choice, the setting is a field of the configuration, so that each
# reading can be tried with `repro run ... --set`; the default is the reading closest to the words,
# except for three, which {doc}`10_left_open` gives reasons for. That page lists every choice, and
# where the paper contradicts itself.

# %% tags=["remove-input"]
for data in found.values():
    display(common.provenance(corpus, preset, data.folds))
