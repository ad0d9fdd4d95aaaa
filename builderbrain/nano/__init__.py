"""The bundled base, `builderbrain-nano`: its corpus, tokenizer, recipe and report. Nothing at run time imports this."""
