"""The texts of diagnoses, in English and Korean, by key."""

from __future__ import annotations

from rnncli.renderers.wording import add_words

say = add_words(
    {
        "at line": ("{file}, line {line}", "{file} {line}번째 줄"),
        "fix": ("fix", "해결 방법"),
        "change": ("change", "고칠 코드"),
        "returns": ("returns", "반환값"),
        "layer returns": ("{layer} returns", "{layer} 반환값"),
        "with a mask": ("with a mask {shape}", "마스크 {shape}"),
        "with states": ("with initial_state {shapes}", "initial_state {shapes}"),
        "weights are": ("weights {shapes}", "가중치 {shapes}"),
        "shapes only": ("shapes only: only Keras computes this layer", "형태만 표시: 이 층은 Keras만 계산"),
        "too large": ("shapes only: too large to run here", "형태만 표시: 여기서 실행하기에는 너무 큼"),
        "try it": ("try it", "실행해 보기"),
    }
)
