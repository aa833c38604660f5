# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How fast, and why
#
# *How long does it take to find out, and what does the time go into?*
#
# Behind each page of this book stand many small training runs. `repro bench` measures how fast they
# are on a machine, beside the way in which public programs train such networks, and beside what the
# machine could do at best. This page shows the measurements that lie in `results/bench/`, one file
# for each machine.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["hide-input"]
from IPython.display import Markdown

from repro.pages import common, speed
from repro.report import find_project

published = find_project() / "results"
machines = speed.benchmarks(published / "bench")
speed.measured_on(machines)

# %% [markdown]
# ## Beside the usual way
#
# The usual way of training: the network written down layer after layer, float32, maps that lie one
# channel after the other, a `DataLoader` over precomputed features, nothing compiled. The usual
# front end: librosa, one segment after the other, though test segments overlap by four fifths. All
# run in turns; the two ways of training each have a process of their own, as memory that one keeps
# would speed up the other. The numbers are medians. The last column says how close the trainer comes
# to what the machine's arithmetic, or its memory, would allow if nothing else took time, and how
# close the front end comes to its Fourier transforms alone.

# %% tags=["hide-input"] mystnb={"figure": {"name": "tab-speed", "caption": "Work per second: training in segments, the front end in seconds of speech, prediction in utterances of 5 s."}}
common.table(speed.rates(machines), decimals=2)

# %% [markdown]
# The front end computes the spectrum of an utterance once and cuts the segments from it, where they
# overlap as where they do not. What it cannot share is the µ-law: each segment is scaled by its own
# extremes first, so each needs logarithms of its own.

# %% tags=["remove-input"]
speed.front_end(machines)

# %% [markdown]
# ## What each step brings
#
# The steps from the usual loop to the trainer, for the attention network. Each row with a plus adds
# one step to those above it. The trainer has them all, and does without a loader. The last row is
# the trainer with a compiled network, or on a GPU, where it compiles, without. Differences smaller
# than the spread mean nothing.

# %% tags=["hide-input"] mystnb={"figure": {"name": "tab-steps", "caption": "Training the attention network, in segments per second, from the usual loop to the trainer."}}
common.table(speed.steps(machines), decimals=1)

# %% [markdown]
# - **Channels last.** The library's convolutions read and write all channels of a position together.
#   Given maps in the other order they copy them first.
# - **Memory that is kept.** The maps of a batch take gigabytes. The C library gives them back to the
#   system when a step ends, and the system hands them out again page by page, each filled with zeros.
#   The trainer asks the C library to keep them, where there is room.
# - **No loader.** All segments of a corpus are one tensor on the device; a batch is a selection of
#   rows, and folds share the tensor. Nothing waits for the device within an epoch.
# - **bfloat16** where the machine has units for it. The trainer chooses it without being asked;
#   `repro run --precision fp32` goes without. The scaling of the paper's Section 2.1 puts most of a
#   spectrogram so close to −1 that bfloat16 would make one number of it. The first layer therefore
#   adds 1 to what it reads, which its batch normalisation takes off again: near 0 bfloat16 tells
#   small numbers apart. (One reading, `front_end.scale=segment-max`, has its quiet parts at 0 from the
#   start, and is better trained in float32.) The pooling and the scores are computed in float32.
# - **The network of this book** gives the same scores as one that is written down in the paper's
#   order, and does so faster:
#   - *ReLU after max-pooling.* The maximum is the same, and ReLU and its gradient have a quarter of
#     the positions to visit.
#   - *The mean in the order of memory.* The gradient of a global average is the same number at every
#     position. Written down in the other order than the map lies in, it slows the pass through ReLU
#     behind it.
#   - *Max-pooling that forgets its input.* For its gradient it is enough to know where the maxima
#     lay. That saves memory, not time.
#   - *Long filters in pieces.* A filter of 80 columns over one channel is one of 10 columns over
#     eight shifted channels, and the library is made for those. Only the sweep of Fig. 2 has such
#     filters.
#
# Tried and left out, as they brought nothing here: compiling on a processor (the last row; what the
# compiler makes of the gradient of max-pooling is slower than the library's own code); large memory
# pages; and normalising only what max-pooling keeps, which is exact but needs a backward pass of its
# own.
#
# ## What bfloat16 does to accuracy
#
# The same networks on EmoDB from the same initial weights and in the same order of segments, once in
# float32 and once in bfloat16 (`results/emodb/coarse.jsonl` and `bf16.jsonl`, preset `coarse`). In
# brackets are 95% intervals over speakers. Seeds of the same precision differ as well: rounding
# leads each training another way, as another order of the segments would.

# %% tags=["hide-input"] mystnb={"figure": {"name": "tab-precisions", "caption": "WA and UA (%) on EmoDB after training in float32 and in bfloat16, and the difference between the two on the same seed."}}
both = [published / "emodb" / f"{name}.jsonl" for name in ("coarse", "bf16")]
precisions = speed.precisions(*both)
Markdown("Not run yet.") if precisions is None else common.table(precisions)

# %% tags=["remove-input"]
speed.gain_by_precision(*both)

# %% [markdown]
# ## Many at once
#
# Folds are independent, and so are the seeds and variants of a study. More machines, or several folds
# on one GPU, are used through `--ray`, see {doc}`../cluster`. To train several networks in one call
# was tried as well, and is not what the trainer does:

# %% tags=["remove-input"]
speed.several(machines)

# %% [markdown]
# ## Memory, and more data

# %% tags=["hide-input"] mystnb={"figure": {"name": "tab-needs", "caption": "Peak memory of a fold of IEMOCAP's size; and seconds per epoch over one batch of segments (1×; on a GPU sixteen batches), over two and over four."}}
common.table(speed.needs(machines), decimals=2)

# %% [markdown]
# The memory is the peak of one fold with as many segments as IEMOCAP gives: where memory is short,
# and where there is plenty, so that the trainer keeps what is freed. The slope is that of the time
# over the amount of data on logarithmic axes: at 1, twice the data take twice the time.
#
# ## Answer

# %% tags=["hide-input"]
speed.answer(machines)
