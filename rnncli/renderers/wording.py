"""Every heading and every meaning, in English and Korean.

Names of tensors, axes, options and files are the same in every language, so that scripts can rely
on them; only what explains them is translated.
"""

from __future__ import annotations

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
        # what was asked for beside layers and inputs
        "with training": "training",
        "with calls": "{} calls",
        "with mask": "masked",
        "with initial_state": "given state",
        "with weights": "given weights",
        # sentences
        "difference": "largest difference from tensorflow",
        "same": "each with the same numbers wherever it is returned:",
        "different": "each with other numbers where it is returned again:",
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
        "numbers": "every number: --full, or --unit N",
        "single numbers": "a single number is that of unit {unit}",
        "held": "masked: state held, output repeated",
        "first": "masked: state held, output zero as none came before",
        "zeroed": "masked: state held, output zeroed",
        "short held": "held",
        "short first": "held, 0",
        "short zeroed": "zeroed",
        # statistics
        "statistics": "statistics",
        "saturated": "saturated",
        "histogram": "histogram",
        "finite": "no NaN, no infinities",
        "finite only": "figures are of the finite numbers",
        # the scheme of a matrix
        "scheme": "which entries are the same numbers",
        "letters": "one letter, one set of numbers; each {dot} has its own",
        "forward half": "forward half",
        "backward half": "backward half",
        # gradients
        "norms of": "norm of the gradient of {of}, a time step a row",
        "masked": "masked",
        "cell read": "cell: as the next step reads it; through its own step's output it counts as hidden",
        "some steps": "{shown} of {count} time steps; --full shows all",
        "log bars": "bars are logarithmic, from {low} to {high}",
        "vanishes": "vanishes from t={t} back, down to {ratio} times its norm at t={reference}",
        "explodes": "explodes from t={t} back, up to {ratio} times its norm at t={reference}",
        "steady": "steady, {ratio} times its norm at t={reference} at the first step",
        "independent": "has no influence",
        "undefined": "is not to be compared: NaN or infinity",
        "rule": "Rule: measured by the last processed step that has influence, a norm vanishes where it and "
        "every one before is below 1/1000, and explodes above 1000.",
        # of an explanation
        "unit": "unit",
        "remainder": "remainder",
        "other term": "the other term",
        "other terms": "the other {count} terms",
        "masked held": "masked at t={t}, so this is the number of t={before}",
        "masked start": "masked at t={t} and at every step before, so this is the number at the start",
        "masked silent": "masked at t={t}, and nothing was put out before",
        "masked zeroed": "masked at t={t}, and so put out as zero",
        "masked masked": "masked here, and so handed on as zero",
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
        "shape": "크기",
        "values": "값",
        "meaning": "의미",
        "input": "입력",
        "seed": "시드",
        "line": "줄",
        "call": "{}번째 호출",
        "engine": "엔진",
        "mask from": "마스크: {}",
        "layer": "층",
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
        "difference": "tensorflow와의 최대 차이",
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
        "finite only": "통계는 유한한 값만의 것",
        "scheme": "어느 항목이 같은 값인가",
        "letters": "같은 글자는 같은 값, {dot}은 저마다 다른 값",
        "forward half": "정방향 절반",
        "backward half": "역방향 절반",
        "norms of": "{of}의 기울기 노름, 행마다 한 시점",
        "masked": "마스크",
        "cell read": "셀: 다음 단계가 읽는 값; 같은 단계의 출력을 거친 영향은 은닉 상태의 것",
        "some steps": "{count}개 시점 중 {shown}개; 모두 보려면 --full",
        "log bars": "막대는 로그 눈금, {low}부터 {high}까지",
        "vanishes": "t={t}부터 이전으로 소실, t={reference} 노름의 {ratio}배까지",
        "explodes": "t={t}부터 이전으로 폭발, t={reference} 노름의 {ratio}배까지",
        "steady": "안정, 첫 단계에서 t={reference} 노름의 {ratio}배",
        "independent": "영향 없음",
        "undefined": "비교할 수 없음: NaN 또는 무한대",
        "rule": "기준: 영향이 있는 마지막 처리 단계의 노름과 견주어, "
        "그 단계와 이전 모두가 1/1000보다 작으면 소실, 1000보다 크면 폭발.",
        "unit": "유닛",
        "remainder": "나머지",
        "other term": "그 밖의 항 하나",
        "other terms": "그 밖의 항 {count}개",
        "masked held": "t={t}은 마스크, 따라서 t={before}의 값",
        "masked start": "t={t}과 이전 모든 단계가 마스크, 따라서 처음의 값",
        "masked silent": "t={t}은 마스크, 앞선 출력 없음",
        "masked zeroed": "t={t}은 마스크, 따라서 출력은 0",
        "masked masked": "마스크, 따라서 0을 전달",
        "hidden_state": "마지막 시점의 은닉 상태",
        "hidden_states": "모든 시점의 은닉 상태",
        "last_hidden_state": "마지막 시점의 은닉 상태",
        "last_cell_state": "마지막 시점의 셀 상태",
        "forward_hidden_state": "정방향 층이 마지막 단계를 마친 뒤의 은닉 상태",
        "forward_hidden_states": "모든 시점에서 정방향 층의 은닉 상태",
        "forward_last_hidden_state": "정방향 층이 마지막 단계를 마친 뒤의 은닉 상태",
        "forward_last_cell_state": "정방향 층이 마지막 단계를 마친 뒤의 셀 상태",
        "backward_hidden_state": "역방향 층이 마지막 단계를 마친 뒤의 은닉 상태",
        "backward_hidden_states": "모든 시점에서 역방향 층의 은닉 상태",
        "backward_last_hidden_state": "역방향 층이 마지막 단계를 마친 뒤의 은닉 상태",
        "backward_last_cell_state": "역방향 층이 마지막 단계를 마친 뒤의 셀 상태",
        "brief hidden_state": "마지막 시점",
        "brief hidden_states": "모든 시점",
        "brief last_hidden_state": "마지막 시점",
        "brief last_cell_state": "마지막 시점",
        "brief forward_hidden_state": "정방향, 마지막 단계",
        "brief forward_hidden_states": "정방향, 모든 시점",
        "brief forward_last_hidden_state": "정방향, 마지막 단계",
        "brief forward_last_cell_state": "정방향, 마지막 단계",
        "brief backward_hidden_state": "역방향, 마지막 단계",
        "brief backward_hidden_states": "역방향, 모든 시점",
        "brief backward_last_hidden_state": "역방향, 마지막 단계",
        "brief backward_last_cell_state": "역방향, 마지막 단계",
    },
}


def say(key: str, lang: str = "en") -> str:
    """The words for `key`; English where a language is not spoken here."""
    return WORDS.get(lang, WORDS["en"])[key]


def meaning(name: str, lang: str = "en") -> str:
    """What the tensor `name` is, `layer 0: hidden state at every time step`; "" where nobody knows."""
    return _of_tensor(name, "", lang)


def brief(name: str, lang: str = "en") -> str:
    """The same in a few words, for under the name, which has said the rest: `every time step`."""
    return _of_tensor(name, "brief ", lang)


def _of_tensor(name: str, prefix: str, lang: str) -> str:
    """`0/forward_cell_1/last_hidden_state`: the layer, the cell of RNN, then what it is."""
    words = WORDS.get(lang, WORDS["en"])
    if name.startswith("call "):
        call, _, rest = name.partition("/")
        text = _of_tensor(rest, prefix, lang)
        return f"{words['call'].format(call.removeprefix('call '))}: {text}" if text and not prefix else text
    *path, base = name.split("/")
    parts = []
    for part in path:
        direction, is_cell, number = part.partition("cell_")
        parts.append(f"{words['cell']} {number}" if is_cell else f"{words['layer']} {part}")
        base = direction + base if is_cell else base
    text = words.get(prefix + base, "")
    return f"{', '.join(parts)}: {text}" if parts and text else text
