"""What helps while writing: the glossary, the translation memory, and feedback on the text.

The translation memory can be rebuilt from the answers at any time; the glossary is data that managers edit.
"""
