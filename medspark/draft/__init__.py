"""A stranger's table looked at: a profile of it, and a draft of its task file. No Spark here."""
