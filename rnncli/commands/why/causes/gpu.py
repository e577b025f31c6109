"""cuDNN, the GPU's own recurrent layers, in TensorFlow and PyTorch."""

from __future__ import annotations

from rnncli.commands.why.causes._layers import expression
from rnncli.commands.why.diagnosis import Causes, Diagnosis, Fix
from rnncli.commands.why.message import Message
from rnncli.renderers.wording import Bilingual

CAUSES = Causes()


@CAUSES.add("cudnn-empty", r"CUDNN_STATUS_BAD_PARAM.{0,200}cudnnSetRNNDataDescriptor")
def _diagnose_empty_row(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "cuDNN rejects a sequence whose time steps are all masked.",
        "cuDNN은 모든 시점이 마스크된 시퀀스를 처리하지 못합니다.",
        Fix(
            "remove sequences without a real step",
            "실제 시점이 없는 시퀀스 빼기",
            "x = x[mask.any(axis=1)]",
            (expression(message),),
            mask=True,
        ),
        Fix(
            "compute this layer without cuDNN (Keras 3)",
            "이 층은 cuDNN 없이 (Keras 3)",
            f"{message.layer}(units, use_cudnn=False)",
        ),
    )


@CAUSES.add("cudnn-missing", r"Fail to find the dnn implementation")
def _diagnose_no_cudnn(_: Message) -> Diagnosis:
    return Diagnosis.of(
        "TensorFlow could not start cuDNN: the GPU's memory is full, or the cuDNN version is incompatible.",
        "TensorFlow가 cuDNN을 시작하지 못했습니다. GPU 메모리가 찼거나 cuDNN 버전이 맞지 않습니다.",
        Fix(
            "memory: allocate it as needed",
            "메모리: 필요한 만큼만 쓰기",
            "tf.config.experimental.set_memory_growth(gpu, True)",
        ),
        Fix(
            "version: install the matching one", "버전: 맞는 cuDNN 설치", "pip install 'tensorflow[and-cuda]'"
        ),
        hint=Bilingual(
            "The layer is fine: it runs on a CPU unchanged.",
            "층의 문제가 아닙니다. CPU에서는 그대로 계산됩니다.",
        ),
    )


@CAUSES.add(
    "contiguous-torch",
    r"rnn: hx is not contiguous|CUDNN_STATUS_NOT_SUPPORTED\. This error may appear if you passed in a "
    r"non-contiguous input",
)
def _diagnose_contiguous(message: Message) -> Diagnosis:
    name = "h0" if "hx" in message.match[0] else "x"
    return Diagnosis.of(
        f"cuDNN needs a contiguous {name}; transpose, permute and slicing make it non-contiguous.",
        f"cuDNN에는 메모리에 이어진 {name}이 필요합니다. transpose, permute, 슬라이스 뒤에는 이어져 있지 "
        "않습니다.",
        Fix("make a contiguous copy", "이어서 복사", f"{name} = {name}.contiguous()", (expression(message),)),
    )


@CAUSES.add("compact-torch", r"RNN module weights are not part of single contiguous chunk")
def _diagnose_compact(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "Only a warning: the weights are copied into one block at every call. The numbers are right.",
        "경고일 뿐입니다. 호출할 때마다 가중치를 이어서 복사하며, 결과는 맞습니다.",
        Fix(
            "once, at the start of forward",
            "forward를 시작할 때 한 번",
            "self.rnn.flatten_parameters()",
            (expression(message),),
        ),
    )


@CAUSES.add("eval-torch", r"cudnn RNN backward can only be called in training mode")
def _diagnose_backward_in_eval(message: Message) -> Diagnosis:
    return Diagnosis.of(
        "cuDNN computes gradients only if the layer was called in training mode.",
        "cuDNN은 층을 학습 모드로 호출했을 때만 기울기를 계산합니다.",
        Fix("training", "학습", "model.train()", (expression(message),)),
        Fix(
            "gradients without dropout",
            "드롭아웃 없이 기울기만",
            "with torch.backends.cudnn.flags(enabled=False): output, _ = rnn(x)",
            (expression(message),),
        ),
    )
