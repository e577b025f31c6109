"""The texts of gradients, in English and Korean, by key."""

from __future__ import annotations

from rnncli.show.wording import add_words

say = add_words(
    {
        "norms of": (
            "norm of the gradient of {of}, one row per time step",
            "{of}의 기울기 노름, 한 행이 한 시점",
        ),
        "cell read": (
            "cell: direct effect on the next step; its effect through its own step's output counts as hidden",
            "셀: 다음 시점에 직접 주는 영향; 같은 시점의 출력을 거친 영향은 은닉 상태에 포함",
        ),
        "some steps": (
            "{shown} of {count} time steps; --full shows all",
            "{count}개 시점 중 {shown}개; 모두 보려면 --full",
        ),
        "log bars": ("bars are logarithmic, from {low} to {high}", "막대는 로그 눈금, {low}부터 {high}까지"),
        "vanishes": (
            "vanishes at t={t} and earlier: less than 1/1000 of the norm at t={reference} is left "
            "(down to {ratio})",
            "t={t} 이전에서 소실: t={reference} 노름의 1/1000보다 작음 ({ratio}배까지 감소)",
        ),
        "falls": (
            "falls at t={t} and earlier: down to {ratio} of the norm at t={reference}",
            "t={t} 이전에서 감소: t={reference} 노름의 {ratio}배까지",
        ),
        "explodes": (
            "explodes at t={t} and earlier: more than 1000 times the norm at t={reference} "
            "(up to {ratio} times)",
            "t={t} 이전에서 폭발: t={reference} 노름의 1000배보다 큼 ({ratio}배까지 증가)",
        ),
        "grows": (
            "grows at t={t} and earlier: up to {ratio} times the norm at t={reference}",
            "t={t} 이전에서 증가: t={reference} 노름의 {ratio}배까지",
        ),
        "varies": (
            "varies: at t={t} and earlier it falls to {ratio} of the norm at t={reference}, and comes back",
            "오르내림: t={t} 이전에서 t={reference} 노름의 {ratio}배까지 감소했다가 회복",
        ),
        "steady": (
            "steady: between 1/10 and 10 times the norm at t={reference} (at the first step {ratio})",
            "안정: t={reference} 노름의 1/10에서 10배 사이 (첫 시점에서 {ratio}배)",
        ),
        "independent": ("has no influence", "영향 없음"),
        "undefined": ("cannot be compared: NaN or infinity", "비교할 수 없음: NaN 또는 무한대"),
    }
)
