# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Recovery of known patterns
#
# *If the stretch that matters were known, would the sweep of filter shapes find it? (The paper's
# Section 3.2, Fig. 2)*
#
# As one side of a filter grows, the paper sees accuracy rise, then level off (height) or fall
# (width). From the bend, or the peak, it reads how wide a band, or how much time, emotion needs to
# show itself. On speech nobody knows the answer. Here it is planted: signals are made whose
# classes differ in a pattern of a known stretch and in nothing else. The same sweep is run on
# them.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]
import numpy as np
import torch

from repro import paper
from repro.config import FrontEnd
from repro.corpora import planted
from repro.evidence import recovery
from repro.report import plots
from repro.report.pages import common
from repro.report.pages import recovery as page
from repro.spectrogram import segments
from repro.study.plan import Run
from repro.study.read import collect

plots.use_style()
page.notice(preset)

# %% tags=["remove-cell", "remove-output"]
data = collect(Run("recovery", corpus, root, preset, results, device, precision, seeds))
found = recovery.recovered(data.predictions)

# %% tags=["remove-input"]
common.state(data)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
page.answer(found)

# %% [markdown]
# ## What is planted
#
# Every signal lasts one segment and holds four pairs of events. An event is a click for a pattern
# in time, a steady tone for one in frequency. The two events of a pair lie one planted stretch
# apart. Half of all events are loud and half are soft; the class is how they are paired:
#
# - *falling*: the first is loud, the second soft;
# - *rising*: the first is soft, the second loud;
# - *level*: both are loud in half of the pairs, both soft in the other half;
# - *mixed*: as many pairs fall as rise.
#
# All classes thus have the same events, the same long-term spectrum and the same level. Pairs lie
# at random places, farther apart than the events of a pair. A filter smaller than a pair sees loud
# and soft events equally often in all classes.


# %%
def inputs(scale: str) -> dict[str, torch.Tensor]:
    """One signal of each class, as the network sees it."""
    found = {}
    for name in planted.ARRANGEMENTS:
        signal = planted.signal(planted.BY_TEXT[scale], name, np.random.default_rng(0))
        waveform = torch.from_numpy(signal).float()
        found[name] = segments(waveform, FrontEnd(), paper.TRAIN_HOP_SECONDS)[0, 0]
    return found


# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-planted-time", "caption": "One signal of each class, clicks 160 ms apart, as the network sees it. All events are the same; only which of them is loud differs."}, "image": {"alt": "Four spectrograms with eight upright lines at the same places, some bright and some faint."}}
plots.emotions({"160 ms": inputs("160 ms")})

# %% tags=["remove-input", "without-results"] mystnb={"figure": {"name": "fig-planted-frequency", "caption": "The same for steady tones 200 Hz apart."}, "image": {"alt": "Four spectrograms with eight level lines at the same places, some bright and some faint."}}
plots.emotions({"200 Hz": inputs("200 Hz")})

# %% [markdown]
# A spectrogram smears. Each frame looks at 40 ms, so a click shows in the frames around it too.
# Through such a window a tone fills a band of 100 Hz from null to null. A filter of $w$ frames
# therefore touches $10w + 30$ ms of signal, where the paper counts $10w$. One of $h$ bins touches
# up to 90 Hz more than the paper's $10h$ Hz. A pattern no larger than the smear can show within a
# single frame or bin, so the smallest planted scales ask what the front end leaves of them.
#
# ## The sweep
#
# For a pattern in time the filter is 2 bins high and grows in width; for one in frequency it is 2
# frames wide and grows in height. The network is that of {doc}`02_filter_shapes`.

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-recovery", "caption": "WA by filter size at each planted scale, with its 95% interval. Upright line: what was planted. Cross: the recovered scale, where accuracy is halfway from chance (dotted) to its best. Blue bar: its 95% interval. Arrow: an upper bound, where even the smallest filter is above halfway."}, "image": {"alt": "Line charts of accuracy by filter size, one panel for each planted scale, with an upright line at the planted scale."}}
plots.sweeps(recovery.sweeps(data.predictions), found)

# %% [markdown]
# ## Recovered against planted
#
# The recovered scale is where accuracy first stands halfway between chance and the best of its
# sweep, interpolated linearly between the sizes measured. This was fixed after first trials with
# single networks, before the sweep was run. The 95% intervals are from a bootstrap over the
# held-out draws; with fewer than five there is none. They do not cover what the coarse steps
# between sizes leave open.
#
# *Smallest as good* is the smallest filter that is not significantly worse than the best (95% interval
# of the difference), in ms or Hz. The paper reads its scale there, where a curve flattens. With more
# signals intervals are narrower, and it moves towards the best. A filter of
# half the stretch or less should do no better than chance, unless the smear lets it touch all of the
# pattern.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-recovered", "caption": "Planted scales, and those recovered from the sweeps."}}
common.table(page.recovered(found))

# %% tags=["remove-input"]
common.provenance("planted", preset, data.folds)
