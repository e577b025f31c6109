"""The texts of gradients, in English and Korean, by key."""

from __future__ import annotations

from rnncli.renderers.wording import add_words

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
            "vanishes at t={t} and earlier (down to {ratio} of the norm at t={reference})",
            "t={t} 이전에서 소실 (t={reference} 노름의 {ratio}배까지 감소)",
        ),
        "explodes": (
            "explodes at t={t} and earlier (up to {ratio} of the norm at t={reference})",
            "t={t} 이전에서 폭발 (t={reference} 노름의 {ratio}배까지 증가)",
        ),
        "steady": (
            "steady (at the first step {ratio} of the norm at t={reference})",
            "안정 (첫 시점에서 t={reference} 노름의 {ratio}배)",
        ),
        "independent": ("has no influence", "영향 없음"),
        "undefined": ("cannot be compared: NaN or infinity", "비교할 수 없음: NaN 또는 무한대"),
        "rule": (
            "Relative to the last step that matters, a norm vanishes when it and all earlier "
            "ones are below 1/1000, and explodes above 1000.",
            "기준: 영향이 있는 마지막 시점의 노름에 견주어, "
            "그 시점과 이전이 모두 1/1000보다 작으면 소실, 1000보다 크면 폭발.",
        ),
    }
)
