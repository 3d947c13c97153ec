"""Where it runs: connect, size, submit, schedule, watch. It is handed commands and callables and knows no operator."""
