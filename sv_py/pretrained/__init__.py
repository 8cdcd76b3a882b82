"""Networks that others have trained: where public weights come from, and how theirs become ours."""
