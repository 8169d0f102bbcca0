"""An FAQ in YAML as a document: its answers.

The questions stay out of the text. They are what is asked of it: a passage that repeats the question is found by any
search, and figures measured on such passages say nothing.
"""
from __future__ import annotations

from embspec.stages import faq
from embspec.stages.corpus.documents import Page, Source
from embspec.stages.reading import Problems, ending, whole


def read(source: Source, problems: Problems) -> Page | None:
    """One document per file: the answers in order, and what the file says of itself beside them."""
    before, text = problems.count, whole(source.tree, source.name, problems)
    node = None if text is None else faq.composed(text, source.name, problems)
    if node is None:
        return None if problems.count > before else Page("", "", {})
    noted = Problems()  # a question without its answer is told where the pairs are read
    given = (row.values.get("answer") for row in faq.rows(node, source.name, noted))
    several = (one if isinstance(one, list) else [one] for one in given)  # a list is several answers
    answers = [answer.strip() for some in several for answer in some if isinstance(answer, str)]
    if not answers:
        text = f"files ending in {ending(source.name)} are read as FAQs, and this one has no questions with answers"
        problems.add("input.format", text, source.where, "narrow the path, or write `question` and `answer`")
        return None
    front = faq.scalars(node)
    return Page(front.get("title", ""), "\n\n".join(answers), front)
