"""The texts of weights, in English and Korean, by key."""

from __future__ import annotations

from rnncli.show.wording import add_words

say = add_words(
    {
        "layout of": ("{}'s layout", "{}의 레이아웃"),
        "fans rule": (
            "fans: fan_in / fan_out of the whole kernel, as initializers use them",
            "팬: 초기화할 때 쓰는 커널 전체의 fan_in / fan_out",
        ),
        "radius rule": (
            "radius: spectral radius of the gate's recurrent kernel; bias: mean of the bias",
            "반경: 게이트 순환 커널의 스펙트럼 반경; 편향: 그 편향의 평균",
        ),
        "no graph": ("no graph", "그래프 없음"),
        "layer of": ("1 layer, {recurrent} recurrent", "층 1개, 순환층 {recurrent}개"),
        "layers of": (
            "{count} layers, {recurrent} of them recurrent",
            "층 {count}개, 그중 순환층 {recurrent}개",
        ),
        "recurrent layers": ("recurrent layers: {recurrent}", "순환층 {recurrent}개"),
    }
)
