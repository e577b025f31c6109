"""What each command says: one file a command, named like it, holding one class that is a `page.Answer`.

An answer makes a page to be read, a document to be parsed, records of one number each, and tensors.
How any of them is drawn is the business of `renderers`.
"""
