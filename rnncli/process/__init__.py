"""This process and the processes it starts: signals, memory, and where foreign code runs."""
