"""The OpenAI-compatible server: one worker owns the model, everything else is a thin layer of HTTP around it."""
