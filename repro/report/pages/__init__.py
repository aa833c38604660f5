"""What the notebooks say beside their figures: a module for each page, or for a few that are alike.

Text that holds a number is made here from results, never typed into a page. The page of each module
is named in its first line. What all pages need is in `pages.common`; the words that several
of them share are in `pages.wording`.
"""
