"""Expressions of layers that are not recurrent, over their options, with the shapes of inputs for each."""

SEQUENCE, ROWS, IMAGE, VOLUME = (3, 7, 4), (3, 6), (2, 6, 5, 4), (2, 4, 3, 5, 2)

ONE_INPUT: dict[str, tuple[tuple[int, ...], ...]] = {
    **dict.fromkeys(
        [
            "Dense(5)", "Dense(2, use_bias=False, activation='tanh')", "Dense(3, activation='softmax')",
            "Dense(3, activation=keras.layers.LeakyReLU(negative_slope=0.1))", "Dropout(0.5)",
            "AlphaDropout(0.5)", "GaussianNoise(0.5)", "GaussianDropout(0.5)",
            "ActivityRegularization(l2=0.1)", "Identity()", "Activation('relu')", "Activation('softmax')",
            "Activation('gelu')", "ReLU()", "ReLU(max_value=6)", "ReLU(max_value=0.5, negative_slope=0.2)",
            "ReLU(threshold=0.3)", "ReLU(max_value=0.8, negative_slope=0.2, threshold=0.3)", "LeakyReLU()",
            "LeakyReLU(negative_slope=0.07)", "PReLU()", "ELU()", "ELU(alpha=0.3)", "Softmax()",
            "Softmax(axis=1)", "BatchNormalization()", "BatchNormalization(epsilon=0.1, scale=False)",
            "BatchNormalization(center=False)", "BatchNormalization(axis=1)", "LayerNormalization()",
            "LayerNormalization(epsilon=0.1, center=False)", "LayerNormalization(scale=False)",
            "LayerNormalization(axis=1)", "UnitNormalization()", "UnitNormalization(axis=1)",
            "RMSNormalization()", "Normalization(mean=0.5, variance=2.0)", "Normalization()",
            "Normalization(axis=None)", "Normalization(invert=True)", "Rescaling(0.5)",
            "Rescaling(0.5, offset=-1.0)", "Flatten()", "Flatten(data_format='channels_first')",
        ],
        (SEQUENCE, ROWS),
    ),
    **dict.fromkeys(
        [
            "SpatialDropout1D(0.5)", "Masking()", "Masking(0.5)", "PReLU(shared_axes=[1])",
            "LayerNormalization(axis=[1, 2])", "BatchNormalization(axis=-2)", "Reshape((4, 7))",
            "Reshape((-1,))", "Reshape((2, -1, 2))", "Permute((2, 1))", "ZeroPadding1D()",
            "ZeroPadding1D((2, 0))", "ZeroPadding1D((1, 2), data_format='channels_first')", "Cropping1D()",
            "Cropping1D((2, 0))", "Cropping1D((0, 3))", "UpSampling1D()", "UpSampling1D(3)",
            "GlobalAveragePooling1D()", "GlobalAveragePooling1D(keepdims=True)",
            "GlobalAveragePooling1D(data_format='channels_first')", "GlobalMaxPooling1D()",
            "GlobalMaxPooling1D(keepdims=True, data_format='channels_first')", "MaxPooling1D()",
            "MaxPooling1D(3, strides=1, padding='same')", "MaxPooling1D(2, strides=3)",
            "MaxPooling1D(3, padding='same')", "AveragePooling1D(2)", "AveragePooling1D(3, padding='same')",
            "AveragePooling1D(3, strides=2, padding='same')", "AveragePooling1D(2, strides=1)",
            "Conv1D(5, 3)", "Conv1D(5, 3, padding='same', activation='relu')",
            "Conv1D(5, 2, padding='causal', dilation_rate=2)", "Conv1D(5, 3, strides=2, use_bias=False)",
            "Conv1D(5, 3, strides=2, padding='same')", "Conv1D(4, 2, groups=2)",
            "Conv1D(5, 3, dilation_rate=2, padding='same')", "Conv1D(2, 1)",
            "DepthwiseConv1D(3, depth_multiplier=2)", "DepthwiseConv1D(3, padding='same', strides=2)",
            "SeparableConv1D(5, 3, padding='same')",
            "SeparableConv1D(5, 2, depth_multiplier=2, activation='tanh')", "TimeDistributed(Dense(3))",
            "TimeDistributed(Dropout(0.3))", "TimeDistributed(BatchNormalization())",
            "TimeDistributed(Activation('softmax'))", "TimeDistributed(RepeatVector(2))",
        ],
        (SEQUENCE,),
    ),
    "RepeatVector(3)": (ROWS,),
    **dict.fromkeys(
        [
            "Conv2D(3, 2)", "Conv2D(3, (3, 2), strides=2, padding='same')",
            "Conv2D(4, 2, dilation_rate=2, groups=2)", "DepthwiseConv2D(2)", "SeparableConv2D(3, 2)",
            "MaxPooling2D()", "MaxPooling2D((1, 2), padding='same')",
            "AveragePooling2D((3, 2), strides=1, padding='same')", "GlobalAveragePooling2D()",
            "GlobalMaxPooling2D(keepdims=True)", "SpatialDropout2D(0.5)", "ZeroPadding2D()",
            "ZeroPadding2D((1, 2))", "ZeroPadding2D(((1, 0), (2, 3)), data_format='channels_first')",
            "Cropping2D(1)", "Cropping2D(((1, 0), (2, 1)))", "UpSampling2D()", "UpSampling2D((1, 3))",
            "BatchNormalization()", "LayerNormalization(axis=[-2, -1])", "Permute((2, 3, 1))", "Flatten()",
            "TimeDistributed(Flatten())", "TimeDistributed(Conv1D(3, 2))",
            "TimeDistributed(GlobalMaxPooling1D())",
        ],
        (IMAGE,),
    ),
    **dict.fromkeys(
        [
            "Conv3D(3, 2)", "Conv3D(3, (2, 1, 3), strides=2, padding='same')", "MaxPooling3D()",
            "AveragePooling3D(2, padding='same')", "GlobalAveragePooling3D()",
            "GlobalMaxPooling3D(keepdims=True)", "SpatialDropout3D(0.5)", "ZeroPadding3D((1, 0, 2))",
            "Cropping3D(((1, 0), (0, 1), (1, 1)))", "UpSampling3D((1, 2, 1))",
        ],
        (VOLUME,),
    ),
}  # fmt: skip

SEVERAL = [
    "Add()", "Subtract()", "Multiply()", "Average()", "Maximum()", "Minimum()", "Concatenate()",
    "Concatenate(axis=1)", "Concatenate(axis=-2)", "Dot(axes=1)", "Dot(axes=2)", "Dot(axes=(2, 2))",
    "Dot(axes=-1, normalize=True)", "Attention()", "Attention(use_scale=True)",
    "Attention(score_mode='concat')", "AdditiveAttention()",
]  # fmt: skip
