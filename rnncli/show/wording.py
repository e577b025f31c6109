"""Headings and meanings that several commands show, in English and Korean.

Names of tensors, axes, options and files are the same in every language, so scripts can rely
on them; only the explanations are translated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rnncli.result import Label


class Bilingual(NamedTuple):
    """A text in both languages, for a command that keeps its texts beside its code."""

    en: str
    ko: str

    def in_language(self, lang: str) -> str:
        """Return the text in `lang`; in English if there is none."""
        return self.ko if lang == "ko" else self.en

    def format(self, *values: object, **named: object) -> Bilingual:
        """Return both texts with these values in their holes."""
        return Bilingual(self.en.format(*values, **named), self.ko.format(*values, **named))


WORDS: dict[str, tuple[str, str]] = {
    # headings and labels
    "tensor": ("tensor", "텐서"),
    "shape": ("shape", "형태(shape)"),
    "values": ("values", "값"),
    "meaning": ("meaning", "의미"),
    "input": ("input", "입력"),
    "seed": ("seed", "시드"),
    "line": ("line", "줄"),
    "call": ("call {}", "{}번째 호출"),
    "engine": ("engine", "엔진"),
    "mask from": ("mask from {}", "마스크: {}"),
    "layer": ("layer", "층"),
    "state before": ("previous {}", "이전 {}"),
    "start state": ("{} at start", "처음 {}"),
    "state at t": ("{} at t={}", "t={1}의 {0}"),
    "feature": ("feature {}", "특성 {}"),
    "cell": ("cell", "셀"),
    "weight": ("weight", "가중치"),
    "parameters": ("parameters", "매개변수 수"),
    "total": ("total", "합계"),
    "returned": ("returned", "반환값"),
    "sample": ("sample", "예제"),
    "title": ("what it is", "내용"),
    "version": ("version", "버전"),
    "available": ("available", "사용 가능"),
    "note": ("note", "비고"),
    "yes": ("yes", "예"),
    "no": ("no", "아니요"),
    "unknown": ("unknown", "알 수 없음"),
    "equal": ("equal", "같은 값"),
    "batch": ("batch", "배치"),
    "row": ("row", "행"),
    "column": ("column", "열"),
    # options besides layers and inputs
    "with training": ("training", "학습 모드"),
    "with calls": ("{} calls", "{}번 호출"),
    "with mask": ("masked", "마스크 적용"),
    "with initial_state": ("initial state supplied", "초기 상태 지정"),
    "with weights": ("weights supplied", "가중치 지정"),
    "with hold": ("held: {}", "고정: {}"),
    "without hold": ("largest difference from the run without --hold", "--hold 없이 실행한 값과의 최대 차이"),
    "held at": ("held at {value}", "{value}에 고정"),
    "was without hold": ("without --hold: {value}", "--hold 없이: {value}"),
    # sentences
    "difference": ("largest difference from {}", "최대 차이 (기준: {})"),
    "assumed difference": (
        "largest difference from {} under the same assumptions",
        "최대 차이 (기준: 같은 가정을 따른 {})",
    ),
    "same": ("identical in every combination that returns it:", "어디서 반환되든 같은 값:"),
    "different": ("different between combinations that return it:", "반환될 때마다 다른 값:"),
    # of a large tensor
    "min": ("min", "최소"),
    "mean": ("mean", "평균"),
    "max": ("max", "최대"),
    "std": ("std", "표준편차"),
    # of a trace
    "status": ("status", "처리"),
    "step": ("step", "순서"),
    "forward": ("forward", "정방향"),
    "backward": ("backward", "역방향"),
    "bars": ("bars", "막대"),
    "numbers": ("--full shows all, --unit N one unit", "모두 보려면 --full, 유닛 하나는 --unit N"),
    "single numbers": ("a single number is that of unit {unit}", "숫자가 하나면 유닛 {unit}의 값"),
    "held": ("masked: state carried over, output repeated", "마스크: 상태 유지, 출력 반복"),
    "first": (
        "masked: state carried over, output zero (no earlier output)",
        "마스크: 상태 유지, 이전 출력이 없어 출력은 0",
    ),
    "zeroed": ("masked: state carried over, output zeroed", "마스크: 상태 유지, 출력은 0"),
    "short held": ("carried", "유지"),
    "short first": ("carried, 0", "유지, 0"),
    "short zeroed": ("zeroed", "출력 0"),
    # statistics
    "statistics": ("statistics", "통계"),
    "saturated": ("saturated", "포화"),
    "histogram": ("histogram", "분포"),
    "finite": ("no NaN, no infinities", "NaN 없음, 무한대 없음"),
    "finite only": ("statistics of the finite numbers only", "유한한 값만 집계"),
    "forward half": ("forward half", "정방향 절반"),
    "backward half": ("backward half", "역방향 절반"),
    "masked": ("masked", "마스크"),
    # of weights
    "gate": ("gate", "게이트"),
    "class": ("class", "클래스"),
    "features": ("in", "입력"),
    "units": ("units", "유닛"),
    "return": ("return", "반환"),
    "norm": ("norm", "노름"),
    "bias": ("bias", "편향"),
    "dtype": ("dtype", "자료형"),
    "radius": ("radius", "반경"),
    "fans": ("fans", "팬"),
    "other weights": ("other tensors", "그 밖의 텐서"),
    # of an explanation
    "unit": ("unit", "유닛"),
    "remainder": ("remainder", "반올림 오차"),
    "other term": ("the other term", "그 밖의 항 하나"),
    "other terms": ("the other {count} terms", "그 밖의 항 {count}개"),
    "masked held": (
        "masked at t={t}: carried over from t={before}",
        "t={t}: 마스크되어 t={before}의 값을 유지",
    ),
    "masked start": (
        "masked at t={t} and at every earlier step: the initial value",
        "t={t}: 이전 시점까지 모두 마스크되어 초깃값을 유지",
    ),
    "masked silent": ("masked at t={t}: no earlier output", "t={t}: 마스크, 이전 출력 없음"),
    "masked zeroed": ("masked at t={t}: output is zero", "t={t}: 마스크되어 출력은 0"),
    "masked masked": ("masked here: zero is passed on", "마스크되어 0을 전달"),
    # meanings of tensors
    "hidden state": ("hidden state", "은닉 상태"),
    "cell state": ("cell state", "셀 상태"),
    "last step": ("{state} of the last time step", "마지막 시점의 {state}"),
    "every step": ("{state} at every time step", "모든 시점의 {state}"),
    "last step one way": (
        "{state} of the {direction} layer after its last step",
        "{direction} 층이 마지막 시점을 마친 뒤의 {state}",
    ),
    "every step one way": (
        "{state} of the {direction} layer at every time step",
        "모든 시점에서 {direction} 층의 {state}",
    ),
    "brief last step": ("last time step", "마지막 시점"),
    "brief every step": ("every time step", "모든 시점"),
    "brief last step one way": ("{direction}, last step", "{direction}, 마지막 시점"),
    "brief every step one way": ("{direction}, every step", "{direction}, 모든 시점"),
}
"""English and Korean by key."""


def say(key: str, lang: str = "en") -> str:
    """Return the text for `key`, in English unless `lang` is `ko`."""
    return Bilingual(*WORDS[key]).in_language(lang)


def add_words(own: Mapping[str, tuple[str, str]]) -> Callable[[str, str], str]:
    """Return a function like `say` that also knows the texts of a command, by key."""

    def say_own(key: str, lang: str) -> str:
        return Bilingual(*own[key]).in_language(lang) if key in own else say(key, lang)

    return say_own


def meaning(label: Label, lang: str = "en") -> str:
    """Return what a tensor is, `layer 0: hidden state at every time step`; "" if unknown."""
    text = _describe(label, "", lang)
    return text if label.call is None or not text else f"{say('call', lang).format(label.call)}: {text}"


def brief(label: Label, lang: str = "en") -> str:
    """Return a short meaning to show below the name, without repeating it: `every time step`."""
    return _describe(label, "brief ", lang)


def name_factor(name: str, words: Sequence[str | int], lang: str = "en") -> str:
    """Return the name of a factor in an equation.  words: its key and the values, if it is translated."""
    if not words:
        return name
    key, *values = words
    return say(str(key), lang).format(*values)


@lru_cache  # a stream asks for the same tensors at every line
def _describe(label: Label, prefix: str, lang: str) -> str:
    """Return the layer, the cell of RNN, then the tensor; "" if it is neither a state nor a word."""
    if label.kind is not None:
        text = say(label.part, lang) if label.part in WORDS and not prefix else ""
    elif label.part in ("hidden", "cell"):
        key = f"{prefix}{'every' if label.sequence else 'last'} step{' one way' if label.direction else ''}"
        state, direction = say(f"{label.part} state", lang), label.direction and say(label.direction, lang)
        text = say(key, lang).format(state=state, direction=direction)
    else:
        text = ""
    places = (("layer", label.layer), ("cell", label.cell))
    parts = [f"{say(key, lang)} {place}" for key, place in places if place is not None]
    return f"{', '.join(parts)}: {text}" if parts and text else text
