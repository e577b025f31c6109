"""Every heading and every meaning, in English and Korean.

Names of tensors, axes, options and files are the same in every language, so scripts can rely
on them; only the explanations are translated.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rnncli.result import Label


class Bilingual(NamedTuple):
    """A text in every language, for a command that has many of its own and keeps them beside its code."""

    en: str
    ko: str

    def in_language(self, lang: str) -> str:
        """Return the text in `lang`; in English if there is none."""
        return self.ko if lang == "ko" else self.en

    def format(self, *values: object, **named: object) -> Bilingual:
        """Return both texts with these values in their holes."""
        return Bilingual(self.en.format(*values, **named), self.ko.format(*values, **named))


WORDS: dict[str, dict[str, str]] = {
    "en": {
        # headings and labels
        "tensor": "tensor",
        "shape": "shape",
        "values": "values",
        "meaning": "meaning",
        "input": "input",
        "seed": "seed",
        "line": "line",
        "call": "call {}",
        "engine": "engine",
        "mask from": "mask from {}",
        "layer": "layer",
        "state before": "{} before",
        "state at start": "{} at start",
        "state at t": "{} at t={}",
        "feature": "feature {}",
        "cell": "cell",
        "weight": "weight",
        "parameters": "parameters",
        "total": "total",
        "returned": "returned",
        "sample": "sample",
        "title": "what it is",
        "version": "version",
        "available": "available",
        "note": "note",
        "yes": "yes",
        "no": "no",
        "unknown": "unknown",
        "equal": "equal",
        "batch": "batch",
        "row": "row",
        "column": "column",
        # options besides layers and inputs
        "with training": "training",
        "with calls": "{} calls",
        "with mask": "masked",
        "with initial_state": "initial state supplied",
        "with weights": "weights supplied",
        "with hold": "held: {}",
        "without hold": "largest difference from the run without --hold",
        "held at": "held at {value}",
        "was without hold": "without --hold: {value}",
        # sentences
        "difference": "largest difference from {}",
        "same": "identical in every combination that returns it:",
        "different": "different between combinations that return it:",
        # of a large tensor
        "min": "min",
        "mean": "mean",
        "max": "max",
        "std": "std",
        # of a trace
        "status": "status",
        "step": "step",
        "forward": "forward",
        "backward": "backward",
        "bars": "bars",
        "numbers": "for every number: --full, or --unit N",
        "single numbers": "single numbers are those of unit {unit}",
        "held": "masked: state held, output repeated",
        "first": "masked: state held, output zero (no earlier output)",
        "zeroed": "masked: state held, output zeroed",
        "short held": "held",
        "short first": "held, 0",
        "short zeroed": "zeroed",
        # statistics
        "statistics": "statistics",
        "saturated": "saturated",
        "histogram": "histogram",
        "finite": "no NaN, no infinities",
        "finite only": "statistics of the finite numbers only",
        # the scheme of a matrix
        "scheme": "entries with the same numbers",
        "letters": "same letter = same numbers; {dot} = unlike all others",
        "forward half": "forward half",
        "backward half": "backward half",
        # gradients
        "norms of": "norm of the gradient of {of}, one row per time step",
        "masked": "masked",
        "cell read": "cell: as read by the next step; the effect of its own step's output is hidden's",
        "some steps": "{shown} of {count} time steps; --full shows all",
        "log bars": "bars are logarithmic, from {low} to {high}",
        "vanishes": "vanishes at t={t} and earlier (down to {ratio} of the norm at t={reference})",
        "explodes": "explodes at t={t} and earlier (up to {ratio} of the norm at t={reference})",
        "steady": "steady (at the first step {ratio} of the norm at t={reference})",
        "independent": "has no influence",
        "undefined": "cannot be compared: NaN or infinity",
        "rule": "Relative to the last step that matters, a norm vanishes when it and all earlier "
        "ones are below 1/1000, and explodes above 1000.",
        # of weights
        "gate": "gate",
        "class": "class",
        "features": "in",
        "units": "units",
        "return": "return",
        "norm": "norm",
        "bias": "bias",
        "dtype": "dtype",
        "layout of": "{}'s layout",
        "radius": "radius",
        "fans": "fans",
        "fans rule": "fans: fan_in / fan_out of the whole weight, as initializers take them",
        "radius rule": "radius: spectral radius of the gate's recurrent kernel; bias: its mean",
        "no graph": "no graph",
        "layers of": "{count} layers, {recurrent} of them recurrent",
        "recurrent layers": "recurrent layers: {recurrent}",
        "other weights": "other tensors",
        # of an explanation
        "unit": "unit",
        "remainder": "remainder",
        "other term": "the other term",
        "other terms": "the other {count} terms",
        "masked held": "masked at t={t}: carried over from t={before}",
        "masked start": "masked at t={t} and at every step before: the initial value",
        "masked silent": "masked at t={t}: there was no output before",
        "masked zeroed": "masked at t={t}: output is zero",
        "masked masked": "masked here: zero is passed on",
        # of the lesson
        "step of": "step {number} of {last}",
        "exercise": "exercise {number}",
        "notice": "Notice",
        "question": "Question",
        "answer": "Answer",
        "the same numbers": "the same numbers",
        "the same numbers each": "each letter marks the same numbers",
        "keys": "Enter next, ? answer, b back, q quit",
        "keys answered": "Enter next, b back, q quit",
        "keys more": "Enter more, b back, q quit",
        "go on": "Now try the exercises: rnncli tour --exercise 1",
        "answer it": "To check your answer, write it after --answer:",
        "right": "Right.",
        "wrong": "{answer} is not right.",
        # of an error message
        "at line": "{file}, line {line}",
        "fix": "fix",
        "change": "change",
        "returns": "returns",
        "layer returns": "{layer} returns",
        "with a mask": "with a mask {shape}",
        "with states": "with initial_state {shapes}",
        "weights are": "weights {shapes}",
        "shapes only": "shapes only: only Keras computes this layer",
        "too large": "shapes only: too large to run here",
        "try it": "try it",
        # meanings, by the name of the tensor
        "hidden_state": "hidden state of the last time step",
        "hidden_states": "hidden state at every time step",
        "last_hidden_state": "hidden state of the last time step",
        "last_cell_state": "cell state of the last time step",
        "forward_hidden_state": "hidden state of the forward layer after its last step",
        "forward_hidden_states": "hidden state of the forward layer at every time step",
        "forward_last_hidden_state": "hidden state of the forward layer after its last step",
        "forward_last_cell_state": "cell state of the forward layer after its last step",
        "backward_hidden_state": "hidden state of the backward layer after its last step",
        "backward_hidden_states": "hidden state of the backward layer at every time step",
        "backward_last_hidden_state": "hidden state of the backward layer after its last step",
        "backward_last_cell_state": "cell state of the backward layer after its last step",
        # the same in a few words
        "brief hidden_state": "last time step",
        "brief hidden_states": "every time step",
        "brief last_hidden_state": "last time step",
        "brief last_cell_state": "last time step",
        "brief forward_hidden_state": "forward, last step",
        "brief forward_hidden_states": "forward, every step",
        "brief forward_last_hidden_state": "forward, last step",
        "brief forward_last_cell_state": "forward, last step",
        "brief backward_hidden_state": "backward, last step",
        "brief backward_hidden_states": "backward, every step",
        "brief backward_last_hidden_state": "backward, last step",
        "brief backward_last_cell_state": "backward, last step",
    },
    "ko": {
        "tensor": "텐서",
        "shape": "형태(shape)",
        "values": "값",
        "meaning": "의미",
        "input": "입력",
        "seed": "시드",
        "line": "줄",
        "call": "{}번째 호출",
        "engine": "엔진",
        "mask from": "마스크: {}",
        "layer": "층",
        "state before": "이전 {}",
        "state at start": "처음 {}",
        "state at t": "t={1}의 {0}",
        "feature": "특성 {}",
        "cell": "셀",
        "weight": "가중치",
        "parameters": "매개변수 수",
        "total": "합계",
        "returned": "반환값",
        "sample": "예제",
        "title": "내용",
        "version": "버전",
        "available": "사용 가능",
        "note": "비고",
        "yes": "예",
        "no": "아니요",
        "unknown": "알 수 없음",
        "equal": "같은 값",
        "batch": "배치",
        "row": "행",
        "column": "열",
        "with training": "학습 모드",
        "with calls": "{}번 호출",
        "with mask": "마스크 적용",
        "with initial_state": "초기 상태 지정",
        "with weights": "가중치 지정",
        "with hold": "고정: {}",
        "without hold": "--hold 없이 실행한 값과의 최대 차이",
        "held at": "{value}에 고정",
        "was without hold": "--hold 없이: {value}",
        "difference": "최대 차이 (기준: {})",
        "same": "어디서 반환되든 같은 값:",
        "different": "반환될 때마다 다른 값:",
        "min": "최소",
        "mean": "평균",
        "max": "최대",
        "std": "표준편차",
        "status": "처리",
        "step": "단계",
        "forward": "정방향",
        "backward": "역방향",
        "bars": "막대",
        "numbers": "모든 값: --full 또는 --unit N",
        "single numbers": "숫자가 하나면 유닛 {unit}의 값",
        "held": "마스크: 상태 유지, 출력 반복",
        "first": "마스크: 상태 유지, 앞선 출력이 없어 출력은 0",
        "zeroed": "마스크: 상태 유지, 출력은 0",
        "short held": "유지",
        "short first": "유지, 0",
        "short zeroed": "출력 0",
        "statistics": "통계",
        "saturated": "포화",
        "histogram": "분포",
        "finite": "NaN 없음, 무한대 없음",
        "finite only": "유한한 값만 집계",
        "scheme": "값이 같은 항목",
        "letters": "같은 글자는 같은 값, {dot}은 저마다 다른 값",
        "forward half": "정방향 절반",
        "backward half": "역방향 절반",
        "norms of": "{of}의 기울기 노름, 한 행이 한 시점",
        "masked": "마스크",
        "cell read": "셀: 다음 시점이 읽는 값; 같은 시점의 출력을 거친 영향은 은닉 상태에 포함",
        "some steps": "{count}개 시점 중 {shown}개; 모두 보려면 --full",
        "log bars": "막대는 로그 눈금, {low}부터 {high}까지",
        "vanishes": "t={t} 이전에서 소실 (t={reference} 노름의 {ratio}배까지 감소)",
        "explodes": "t={t} 이전에서 폭발 (t={reference} 노름의 {ratio}배까지 증가)",
        "steady": "안정 (첫 시점에서 t={reference} 노름의 {ratio}배)",
        "independent": "영향 없음",
        "undefined": "비교할 수 없음: NaN 또는 무한대",
        "rule": "기준: 영향이 있는 마지막 시점의 노름에 견주어, "
        "그 시점과 이전이 모두 1/1000보다 작으면 소실, 1000보다 크면 폭발.",
        "gate": "게이트",
        "class": "클래스",
        "features": "입력",
        "units": "유닛",
        "return": "반환",
        "norm": "노름",
        "bias": "편향",
        "dtype": "자료형",
        "layout of": "{}의 가중치 배치",
        "radius": "반경",
        "fans": "팬",
        "fans rule": "팬: 초기화에 쓰이는 가중치 전체의 fan_in / fan_out",
        "radius rule": "반경: 게이트 순환 커널의 스펙트럼 반경; 편향: 평균",
        "no graph": "그래프 없음",
        "layers of": "층 {count}개, 그중 순환층 {recurrent}개",
        "recurrent layers": "순환층 {recurrent}개",
        "other weights": "그 밖의 텐서",
        "unit": "유닛",
        "remainder": "반올림 오차",
        "other term": "그 밖의 항 하나",
        "other terms": "그 밖의 항 {count}개",
        "masked held": "t={t}: 마스크되어 t={before}의 값을 유지",
        "masked start": "t={t}: 이전 시점까지 모두 마스크되어 초깃값을 유지",
        "masked silent": "t={t}: 마스크, 앞선 출력 없음",
        "masked zeroed": "t={t}: 마스크되어 출력은 0",
        "masked masked": "마스크되어 0을 전달",
        "step of": "{number}/{last}단계",
        "exercise": "연습 {number}",
        "notice": "살펴보기",
        "question": "질문",
        "answer": "답",
        "the same numbers": "같은 값",
        "the same numbers each": "같은 글자는 같은 값",
        "keys": "Enter 다음, ? 답 보기, b 이전, q 끝내기",
        "keys answered": "Enter 다음, b 이전, q 끝내기",
        "keys more": "Enter 더 보기, b 이전, q 끝내기",
        "go on": "이제 연습 문제를 풀어 보세요: rnncli tour --exercise 1",
        "answer it": "답을 확인하려면 --answer 뒤에 써넣으세요.",
        "right": "맞았습니다.",
        "wrong": "{answer}: 틀렸습니다.",
        "at line": "{file} {line}번째 줄",
        "fix": "해결 방법",
        "change": "고칠 코드",
        "returns": "반환값",
        "layer returns": "{layer} 반환값",
        "with a mask": "마스크 {shape}",
        "with states": "initial_state {shapes}",
        "weights are": "가중치 {shapes}",
        "shapes only": "형태만 표시: 이 층은 Keras만 계산",
        "too large": "형태만 표시: 여기서 실행하기에는 너무 큼",
        "try it": "실행해 보기",
        "hidden_state": "마지막 시점의 은닉 상태",
        "hidden_states": "모든 시점의 은닉 상태",
        "last_hidden_state": "마지막 시점의 은닉 상태",
        "last_cell_state": "마지막 시점의 셀 상태",
        "forward_hidden_state": "정방향 층이 마지막 시점을 마친 뒤의 은닉 상태",
        "forward_hidden_states": "모든 시점에서 정방향 층의 은닉 상태",
        "forward_last_hidden_state": "정방향 층이 마지막 시점을 마친 뒤의 은닉 상태",
        "forward_last_cell_state": "정방향 층이 마지막 시점을 마친 뒤의 셀 상태",
        "backward_hidden_state": "역방향 층이 마지막 시점을 마친 뒤의 은닉 상태",
        "backward_hidden_states": "모든 시점에서 역방향 층의 은닉 상태",
        "backward_last_hidden_state": "역방향 층이 마지막 시점을 마친 뒤의 은닉 상태",
        "backward_last_cell_state": "역방향 층이 마지막 시점을 마친 뒤의 셀 상태",
        "brief hidden_state": "마지막 시점",
        "brief hidden_states": "모든 시점",
        "brief last_hidden_state": "마지막 시점",
        "brief last_cell_state": "마지막 시점",
        "brief forward_hidden_state": "정방향, 마지막 시점",
        "brief forward_hidden_states": "정방향, 모든 시점",
        "brief forward_last_hidden_state": "정방향, 마지막 시점",
        "brief forward_last_cell_state": "정방향, 마지막 시점",
        "brief backward_hidden_state": "역방향, 마지막 시점",
        "brief backward_hidden_states": "역방향, 모든 시점",
        "brief backward_last_hidden_state": "역방향, 마지막 시점",
        "brief backward_last_cell_state": "역방향, 마지막 시점",
    },
}

STATE = r"((?:hidden|cell)(?: \d+)?)"
FACTORS = (
    (re.compile(f"{STATE} before"), "state before"),
    (re.compile(f"{STATE} at start"), "state at start"),
    (re.compile(f"{STATE} at t=(\\d+)"), "state at t"),
    (re.compile(r"feature (\d+)"), "feature"),
)
"""Names of factors that are words, not names in the layer's code."""


def say(key: str, lang: str = "en") -> str:
    """Return the text for `key`; in English if `lang` has none."""
    return WORDS.get(lang, WORDS["en"])[key]


def meaning(label: Label, lang: str = "en") -> str:
    """Return what a tensor is, `layer 0: hidden state at every time step`; "" if unknown."""
    text = _of_tensor(label, "", lang)
    return text if label.call is None or not text else f"{say('call', lang).format(label.call)}: {text}"


def name_factor(name: str, lang: str = "en") -> str:
    """Return the name of a factor in an equation: `cell before`, `feature 0`, `forget`."""
    for pattern, key in FACTORS:
        if found := pattern.fullmatch(name):
            return say(key, lang).format(*found.groups())
    return name


def brief(label: Label, lang: str = "en") -> str:
    """Return a short meaning to show below the name, without repeating it: `every time step`."""
    return _of_tensor(label, "brief ", lang)


def _of_tensor(label: Label, prefix: str, lang: str) -> str:
    """`0/forward_cell_1/last_hidden_state`: the layer, the cell of RNN, then the tensor."""
    words = WORDS.get(lang, WORDS["en"])
    own = label.part if label.traced else label._replace(call=None, layer=None, cell=None)
    text = words.get(f"{prefix}{own}", "")
    places = (("layer", label.layer), ("cell", label.cell))
    parts = [f"{words[key]} {place}" for key, place in places if place is not None]
    return f"{', '.join(parts)}: {text}" if parts and text else text
