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
# *How long does it take to find out, what does the time go into, and what does precision cost?*
#
# Behind each page of this book stand many small training runs. `repro bench` measures how fast they
# are on a machine, beside the way in which public programs train such networks, and how exact each
# way computes what it trains by. This page shows the measurements that lie in `results/bench/`, one
# file for each processor, made by `repro bench --json`.

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

from repro.report.build import find_project
from repro.report.pages import common, speed

published = find_project() / "results"
machines = speed.benchmarks(published / "bench")

# %% [markdown]
# ## Beside the usual way
#
# - **Textbook loop**: the network written down layer after layer, float32, maps that lie one channel
#   after the other, a `DataLoader` over precomputed features, batches of 64 segments as in the paper.
# - **Public loop**: the same in batches of 32, as the best-known public re-implementation trains.
# - The rows with a **plus** lead from the textbook loop to the trainer, each with all that stand above
#   it: what follows explains them.
# - **Trainer**: what `repro run` trains with.
# - The usual **front end**: librosa, one segment after the other, though test segments overlap by
#   four fifths.
#
# All run in turns; ways that keep memory have a process to themselves, as it would speed up the
# others. The value is the median of seven rounds for the attention network and of three for all else.
# Beside it stand the two values between which the middle half of the rounds lie; the ratio is to the
# first way of doing the same. Differences smaller than the spread mean nothing.
#
# The **error** is that of a training step. For each parameter it is |g − g64| / |g64|, where g is its
# gradient and g64 that of the same step in float64; the largest counts, of parameters whose true
# gradient is not zero. As maps in float64 need much memory, this step is one on 8 segments. They are
# noise, most of it as near to −1 as most of a spectrogram; so are all segments trained on here. A
# whole batch adds up eight times as many numbers.
#
# The **share** is how close the convolutions of the trainer come to the rate at which this machine
# multiplies matrices in the same precision. The networks of one layer are those of Fig. 2.

# %% tags=["remove-input"]
speed.measured(machines)

# %% [markdown]
# The memory is the peak of one fold with as many segments as IEMOCAP gives, with one scale for each
# segment, as in the paper, and with one for the whole training set.
#
# - **Channels last.** The library's convolutions read and write all channels of a position together.
#   Given maps in the other order they copy them first. Torch's batch normalisation, though, adds up
#   maps that lie so position by position, millions of them in float32, and loses digits by it.
# - **Our layers.** Batch normalisation, ReLU and max-pooling in one, a few segments at a time, as they
#   fit the cache; the sums of the parts are put together in float64. ReLU comes after max-pooling: the
#   maximum is the same, and a quarter of the positions is left to visit. The maps are overwritten by
#   their gradients, which saves memory. The gradient of the first convolution is added up likewise.
# - **Memory that is kept.** The maps of a batch take gigabytes. The C library gives them back to the
#   system when a step ends, and the system hands them out again page by page, each filled with zeros.
#   The trainer asks the C library to keep them, where there is room.
# - **bfloat16**, where it is asked for by `--precision bf16`; without that everything is float32. It
#   saves time on a machine that has units for it, and costs digits: see the column of errors. The
#   scaling of the paper's Section 2.1 puts most of a spectrogram so close to −1 that bfloat16 would
#   make one number of it. The first layer therefore adds 1 to what it reads, which its batch
#   normalisation takes off again: near 0 bfloat16 tells small numbers apart. (One reading,
#   `front_end.scale=segment-max`, has its quiet parts at 0 from the start, and is better trained in
#   float32.) The pooling and the scores are computed in float32 all the same.
# - **No loader.** All segments of a corpus are one tensor on the device; a batch is a selection of
#   rows, and folds share the tensor. Nothing waits for the device within an epoch.
# - **No maps at all**, where one layer is all there is, as in Fig. 2: its convolution is linear in a
#   spectrogram that does not change, so that the mean and variance of every filter follow from those
#   of the patches that it reads. They are computed once for all epochs.
# - **The front end** computes the spectrum of an utterance once and cuts the segments from it. What it
#   cannot share is the µ-law: each segment is scaled by its own extremes first.
#
# Folds are independent, and so are the seeds and variants of a study. More machines, or several folds
# on one GPU, are used through `--ray`, see {doc}`../cluster`.
#
# ## What bfloat16 does to accuracy
#
# The same networks on EmoDB from the same initial weights and in the same order of segments, once in
# float32 and once in bfloat16 (`results/emodb/coarse.jsonl` and `bf16.jsonl`, preset `coarse`). In
# brackets are 95% intervals over speakers. Seeds of the same precision differ as well: rounding
# leads each training another way, as another order of the segments would.

# %% tags=["remove-input"]
precisions = [published / "emodb" / f"{name}.jsonl" for name in ("coarse", "bf16")]
speed.trained_with(*precisions)

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-precisions", "caption": "WA and UA (%) on EmoDB after training in float32 and in bfloat16, and the difference between the two on the same seed."}}
moved = speed.compared("precision", *precisions)
Markdown("Not run yet.") if moved is None else common.table(moved)

# %% tags=["remove-input"]
speed.gain("precision", *precisions)

# %% [markdown]
# ## What the published numbers are worth
#
# Much of what this book publishes was trained while batch statistics were added up by torch, with the
# errors that channels last has above. Here the poolings are trained again with exact ones
# (`results/emodb/exact.jsonl`) on the same folds, from the same initial weights and in the same order
# of segments. How far a score moves is how far rounding alone can move it.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-statistics", "caption": "WA and UA (%) on EmoDB after training with torch's batch statistics and with exact ones, and the difference between the two on the same seed."}}
again = [published / "emodb" / f"{name}.jsonl" for name in ("coarse", "exact")]
moved = speed.compared("statistics", *again)
Markdown("Not run yet.") if moved is None else common.table(moved)

# %% tags=["remove-input"]
speed.gain("statistics", *again)

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
speed.answer(machines)
