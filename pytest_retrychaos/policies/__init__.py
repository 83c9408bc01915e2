"""What policies promise, read off the objects that production code makes of them, whoever wrote the library.

Laws of this package:
1. Each library has a file of its own, which imports nothing of it: an object of a library that is not loaded cannot
   have been given.
2. What cannot be read is refused by name, with the way out; it is never guessed.
"""
