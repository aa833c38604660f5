from repro.corpora import cremad


def test_the_release_is_of_48_men_and_43_women_in_4900_utterances():
    corpus = cremad.CORPUS
    assert len(corpus.published) == 91 and corpus.women < set(corpus.published)
    assert len(corpus.women) == 43
    totals = [sum(of) for of in zip(*corpus.published.values(), strict=True)]
    assert totals == [1087, 1271, 1271, 1271]
