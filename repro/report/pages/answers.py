"""What becomes of the paper's claims in words, for the first page and for the README."""

from collections.abc import Callable, Sequence
from operator import attrgetter

from repro import config, paper
from repro.evidence import claims, metrics, parts
from repro.report.pages import poolings, wording
from repro.report.pages.board import MAIN, Evidence

Judged = tuple[Evidence, claims.Verdict]
SENTENCES = {
    "supported": "attention pooling does better than a plain average, as the paper claims",
    "contradicted": "attention pooling does worse than a plain average in {scores}",
    "undecided": "attention pooling is not shown to beat a plain average, nor to lose to it",
    "in part": "attention pooling does better than a plain average in {ahead}, and is not shown to "
    "in {scores}",
}
BEGIN = {
    frozenset({"supported"}): "Yes",
    frozenset({"contradicted"}): "No",
    frozenset({"undecided"}): "Undecided",
    frozenset({"contradicted", "undecided"}): "Not confirmed",
}
CLOSE = 0.05  # an exact p from which on a definite verdict is a close call


def answer(found: Sequence[Evidence]) -> str:
    """Return what becomes of the paper's main claim in words, as Markdown."""
    study = claims.TESTS[MAIN].study
    judged = [(of, verdict) for of in found if (verdict := of.tested(MAIN))]
    if not judged:
        return "**Not known yet: no results on real speech are at hand that can decide it.**"
    said = [f"on {where} {what}" for what, where in _places(judged, _in_words).items()]
    begin = BEGIN.get(frozenset(verdict.verdict for _, verdict in judged), "Mixed")
    missing = [
        *_close(judged),
        _beside_paper(judged),
        *_undone([of for of, _ in judged], study, "it"),
    ]
    if all(of.corpus != "iemocap" for of, _ in judged):
        missing.append("The claim has not been tested on IEMOCAP, the paper's own corpus.")
    return " ".join([f"**{begin}: {'; '.join(said)}.**", *missing])


def others(found: Sequence[Evidence]) -> str:
    """Return what becomes of the paper's other claims in words, as Markdown.

    Those that are decided anywhere are listed.
    """
    lines: list[str] = []
    undecided = untested = 0
    rest = [claim for claim in paper.CLAIMS if claim.id != MAIN]
    for claim in rest:
        judged = [(of, verdict) for of in found if (verdict := of.tested(claim.id))]
        places = _places(judged, attrgetter("verdict"))
        undecided += places.keys() == {"undecided"}
        untested += not places
        if places.keys() - {"undecided"}:
            said = ", ".join(f"{word} on {where}" for word, where in sorted(places.items()))
            lines.append(f"- {wording.begun(claim.text)}: {said}")
    numbers = {"decided on some corpus": len(lines)}
    numbers |= {"undecided": undecided, "not tested": untested}
    counted = [f"{n} {'is' if n == 1 else 'are'} {what}" for what, n in numbers.items() if n]
    counts = f"Of the {len(rest)} other claims of the paper, {wording.listed(counted)}"
    counts += ":" if lines else "."
    on_shapes = [of for of, test in claims.TESTS.items() if test.study == "filter-shapes"]
    tested = [of for of in found if any(of.tested(claim) for claim in on_shapes)]
    undone = _undone(tested, "filter-shapes", "the filter shapes")
    return "\n".join([counts, "", *lines, "", *undone]).strip()


def _places(judged: Sequence[Judged], said: Callable[[claims.Verdict], str]) -> dict[str, str]:
    """Return on which corpora each thing is said of a claim, with settings unless all agree."""
    places: dict[str, dict[str, None]] = {}
    for of, verdict in judged:
        of_corpus = [said(each) for run, each in judged if run.corpus == of.corpus]
        alike = len(set(of_corpus)) == 1 < len(of_corpus)
        label = "" if alike else f" (`{of.label(verdict.claim.id)}`)"
        places.setdefault(said(verdict), {})[f"{wording.title(of.corpus)}{label}"] = None
    return {what: wording.listed(where) for what, where in places.items()}


def _undone(tested: Sequence[Evidence], study: str, what: str) -> list[str]:
    """Return how much is done of what is planned for a study, where some of it is."""
    said, planned = [], [config.shortest(each) for each in claims.PLANNED[study]]
    for corpus in claims.CONFIRMING:
        found = {config.shortest(of.preset) for of in tested if of.corpus == corpus}
        done = found.intersection(planned)
        left = [f"`{each}`" for each in planned if each not in done]
        if done and left:
            said.append(
                f"{len(done)} of the {len(planned)} tests of {what} that were planned on "
                f"{wording.title(corpus)} {'is' if len(done) == 1 else 'are'} done; to come "
                f"{'is' if len(left) == 1 else 'are'} {wording.listed(left)}."
            )
    return said


def _deciding(verdict: claims.Verdict) -> list[parts.Part]:
    return [part for part in verdict.parts if part.verdict == verdict.verdict]


def _in_words(verdict: claims.Verdict) -> str:
    ahead = " and ".join(part.score for part in verdict.parts if part.verdict == "supported")
    scores = " and ".join(part.score for part in _deciding(verdict))
    word = "in part" if ahead and verdict.verdict == "undecided" else verdict.verdict
    return SENTENCES[word].format(scores=scores, ahead=ahead)


def _close(judged: Sequence[Judged]) -> list[str]:
    """Return in which scores the exact test does not bear out a definite verdict."""
    return [
        f"On {wording.title(of.corpus)} under `{config.shortest(of.preset)}` that is a close call "
        f"in {' and '.join(close)}."
        for of, verdict in judged
        if verdict.verdict != "undecided"
        if (close := [part.score for part in _deciding(verdict) if part.p >= CLOSE])
    ]


def _beside_paper(judged: Sequence[Judged]) -> str:
    """Return what the paper's own gain is, and where it lies beside the intervals found here."""
    sides: dict[str, set[str]] = {}
    for of, verdict in judged:
        for part in verdict.parts:
            theirs = poolings.attention_gain(part.score)
            side = "above" if theirs > part.high else "below" if theirs < part.low else "within"
            sides.setdefault(wording.title(of.corpus), set()).add(side)
    places: dict[str, list[str]] = {}
    for corpus, found in sides.items():
        where = (
            "within some intervals"
            if "within" in found
            else "above some intervals and below others"
        )
        where = f"{found.pop()} every interval" if len(found) == 1 else where
        places.setdefault(where, []).append(corpus)
    lies = " and ".join(f"{where} on {' and '.join(of)}" for where, of in places.items())
    points = " and ".join(
        f"{poolings.attention_gain(score):.2f} points of {score}" for score in metrics.ACCURACIES
    )
    gain = f"The gain that the paper reports, {points},"
    if all(
        poolings.attention_gain(part.score) < (part.high - part.low) / 2
        for _, verdict in judged
        for part in verdict.parts
    ):
        return f"{gain} is smaller than half the width of any interval here. It lies {lies}."
    return f"{gain} lies {lies}."
