"""Speed, memory and time to the same loss against PEFT's QLoRA on the same base: `python -m benchmarks.qlora`."""
