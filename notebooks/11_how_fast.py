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
# This book rests on many small training runs. `repro bench` measures how fast and how exactly a
# machine does them, beside the usual way of public programs. This page shows what `repro bench
# --json` wrote to `results/bench/`, one file for each device and precision. A device that is not among
# them has not been measured; `repro report ... --dry-run` says how long it would take there.

# %% tags=["parameters"]
corpus = "synthetic"
root = None
preset = "smoke"
results = None
device = "auto"
precision = "auto"
seeds = 1

# %% tags=["remove-input"]

from repro.report.build import find_project
from repro.report.pages import common, speed

published = find_project() / "results"


def files(*names):
    return [published / "emodb" / f"{name}.jsonl" for name in names]


machines = speed.benchmarks(published / "bench")

# %% [markdown]
# ## Answer

# %% tags=["remove-input"]
speed.answer(machines)

# %% [markdown]
# ## Beside the usual way
#
# - **Textbook loop**: layer after layer, float32, maps that lie channel after channel, a
#   `DataLoader` over precomputed features, the paper's batches of 64 segments.
# - **Public loop**: the same in batches of 32, as in the best-known public re-implementation.
# - **Plus**: from the public loop to the trainer, each of these rows adds one change to all above
#   it.
# - **Trainer**: what `repro run` trains with.
# - The usual **front end**: librosa, one segment at a time, though test segments overlap by four
#   fifths.
#
# All ways run in turns. Ways that keep memory have a process to themselves, as kept memory would
# speed up the others. The value is the median of seven rounds. Beside it stand the bounds of
# the middle half of the rounds; differences smaller than this spread mean nothing. The ratio is to the
# first way of doing the same.
#
# The **error** is that of a training step: the largest |g − g64| / |g64| over all parameters whose
# true gradient is not zero, where g is a parameter's gradient and g64 that of the same step in
# float64. To save memory this step has 8 segments; a whole batch adds up eight times as many
# numbers. All segments of the benchmark are noise, most of it as near to −1 as most of a
# spectrogram. Training is called *exact* in this book where a test holds its error to 0.002.
#
# The **share** is how close the convolutions of the trainer come to the rate at which this machine
# multiplies matrices in the precision asked for, measured in the same turns. That of prediction also
# counts the time of the front end. The networks of one layer are those of the paper's Fig. 2. Where a
# machine was measured in float32, its table in bfloat16 leaves out the front ends and the other ways of
# training, which compute in float32 in both. Its ratios are still to the textbook loop. The CSV files
# have all rows.

# %% tags=["remove-input"]
speed.measured(machines)

# %% [markdown]
# ## What each change does
#
# - **Our layers** let all channels of a position lie together (channels last), as the library's
#   convolutions handle them; maps in the other order they copy first. But torch's batch normalisation
#   adds up channels-last maps position by position, millions of them in float32, and loses digits by
#   it. Here batch normalisation, max-pooling and ReLU are one step, a few segments at a time, as they
#   fit the cache; the sums of the parts, and the gradients of the convolutions, are put together in
#   float64. Gradients overwrite the maps, which saves memory.
# - **Memory that is kept.** The maps of a batch take gigabytes. After each step the C library
#   gives them back to the system, which hands them out again page by page, filled with zeros. The
#   trainer asks the library to keep them, where there is room.
# - **bfloat16** is used only with `--precision bf16`. It saves time on a machine that has units
#   for it, and costs digits (see the errors). Most of a spectrogram lies so close to −1 that
#   bfloat16 would make one number of it. The first layer therefore adds 1, as bfloat16 tells small
#   numbers apart near 0, and its batch normalisation takes it off again. The pooling and the
#   scores stay in float32. So does one layer alone, whose small products take longer in bfloat16. The
#   reading `front_end.scale=segment-max` has its quiet parts at 0 from the start, and is better
#   trained in float32.
# - **No loader.** All segments of a corpus are one tensor on the device, which folds share. A
#   batch is a selection of rows. Nothing waits for the device within an epoch.
# - **No maps at all** for one layer alone, as in the paper's Fig. 2. Its convolution is linear in a
#   fixed spectrogram, so the mean and variance of every filter follow from those of the patches
#   that it reads, computed once for all epochs.
# - **On a GPU** the networks are torch's own, but for two parts: the layer alone has no maps there
#   either, and the gradient of the first layer's weights is added up row by row. cuDNN's
#   deterministic way takes longer, and loses digits over the longest filters.
# - **The front end** computes the spectrum of an utterance once and cuts the segments from it. The
#   µ-law cannot be shared: each segment is scaled by its own extremes first.
#
# Folds, seeds and variants are independent. `--ray` spreads them over machines, and several over
# one GPU ({doc}`../cluster`).
#
# ## What a fold took
#
# This is how long a fold of the published poolings on EmoDB took: the median. Those on a processor were
# trained beside other work; those on a GPU two at a time.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-durations", "caption": "Minutes from the first epoch of a fold on EmoDB to its last score."}}
common.table_if_run(speed.durations(*files(*speed.POOLINGS)))

# %% tags=["remove-input"]
speed.on_iemocap(*files("paper"))

# %% [markdown]
# Where two folds share the GPU, as those did, the clock shows half of that.

# %% [markdown]
# ## What bfloat16 does to accuracy
#
# The same networks were trained on EmoDB in float32 and in bfloat16, both with torch's batch
# statistics, from the same initial weights and in the same order of segments
# (`results/emodb/torch.jsonl` and `bf16.jsonl`, preset `coarse`). Intervals are over speakers. Seeds of
# the same precision differ as well: rounding leads each training another way, as another order of the
# segments would.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-precisions", "caption": "WA and UA (%) on EmoDB after training in float32 and in bfloat16, what attention gains over GAP (points), and the difference between the two precisions on the same seed."}}
common.table_if_run(speed.compared("precision", "bf16", "fp32", *files("torch", "bf16")))

# %% [markdown]
# ## What the published numbers are worth
#
# On EmoDB the readings and the protocol were trained with torch's batch statistics and the errors that
# channels last gives them. The poolings were trained in both ways, on the same folds, from the same
# initial weights and in the same order of segments: under `coarse` with torch's statistics and exactly
# (`results/emodb/torch.jsonl` and `pooling.jsonl`), under `paper` in bfloat16 with torch's statistics
# and exactly on a GPU (`paper-bf16.jsonl` and `paper.jsonl`). How far a score moves is
# an example of how far rounding alone can move it. Only the exact ones are judged.

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-statistics", "caption": "WA and UA (%) on EmoDB after training with torch's batch statistics and with exact ones, what attention gains over GAP (points), and the difference between the two on the same seed."}}
common.table_if_run(speed.compared("statistics", "exact", "torch", *files("torch", "pooling")))

# %% tags=["remove-input"] mystnb={"figure": {"name": "tab-inexact-paper", "caption": "The same under `paper`: in bfloat16 with torch's batch statistics, and in float32 on a GPU, whose own (cudnn) are exact."}}
common.table_if_run(speed.compared("statistics", "cudnn", "torch", *files("paper-bf16", "paper")))
