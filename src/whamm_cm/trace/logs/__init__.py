"""What log drivers and collectors put around a host's lines: one module per envelope."""
