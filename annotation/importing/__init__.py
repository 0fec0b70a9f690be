"""Files and generated texts into a project: upload → preview → confirm → job → staging tables → prompts and candidates.

An import writes all rows or none (or the good ones, if the user asks); `preparation` reads the file.
"""
