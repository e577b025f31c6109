"""Convolutional layers, and input shapes for them by their rank."""

FRAMES = {1: (2, 3, 9, 2), 2: (2, 3, 9, 8, 2), 3: (2, 3, 7, 6, 5, 2)}
CONVOLUTIONS = [
    f"ConvLSTM{rank}D(2, {size}, {options})"
    for rank in (1, 2, 3)
    for size, options in (
        (3, "padding='valid'"),
        (2, "padding='same', return_sequences=True"),
        (3, "strides=2, return_state=True"),
        (3, "strides=2, padding='same', return_sequences=True, return_state=True"),
        (2, "dilation_rate=2, use_bias=False"),
        (2, "dilation_rate=2, padding='same', return_state=True, unit_forget_bias=False"),
        ((2, 3, 1)[:rank], "go_backwards=True"),
    )
]
