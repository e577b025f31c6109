# ruff: noqa: D101, D102
"""Where the shapes of a diagram stand."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.cells.diagram.plan import Plan
from rnncli.cells.diagram.shapes import Diagram, Shape, Wire
from rnncli.cells.diagram.wires import Point, Port, Router
from rnncli.cells.tree import Name


class Layout(Plan):
    def diagram(self) -> Diagram:
        self.plan()
        row_of = self.rail_rows()
        self.place_across()
        return self.place_down(row_of)

    def rail_rows(self) -> dict[str, int]:
        """Return the row of each rail, from the top: as high as its operators have room."""
        cells: set[tuple[int, int]] = set()
        row_of: dict[str, int] = {}
        row = -1
        starts = {source.line for source, _, _ in self.links if source.kind == "start"}
        for state in self.rails:
            mine = [at for at in self.at.values() if at.state == state]
            first = (
                0
                if state in starts
                else min((2 * self.index(at.slot) for at in mine if not at.offset), default=99)
            )
            line = [(column, 0) for column in range(first, 2 * len(self.slots))]
            own = {(2 * self.index(at.slot) - at.half, at.offset) for at in mine}
            row = row + 1 - min((at.offset for at in mine), default=0)
            while cells & {(column, row + offset) for column, offset in {*line, *own}}:
                row += 1
            row_of[state] = row
            cells |= {(column, row + offset) for column, offset in {*line, *own}}
        return row_of

    def place_across(self) -> None:
        cards = [slot for slot in self.slots if slot.cards]
        self.taps = [state for state in self.states if self.is_tapped(state)]
        edge = self.end_wide + 16 + 10 * len(self.taps) if self.wide else 6 + 10 * len(self.taps)
        narrow = 48 if self.wide else 36
        free = len(self.slots) - len(cards)
        least = 820 if self.wide else 300
        pitch = self.pitch
        if self.wide:
            pitch = max(104, min(pitch, (least - 2 * edge - narrow * free) // max(len(cards), 1)))
        else:
            pitch = max(66, min(110, (least - edge - 4 - narrow * free) // max(len(cards), 1)))
        used = pitch * len(cards) + narrow * free
        right = edge if self.wide else 4
        self.width = max(edge + used + right, 300 if not self.wide else 420)
        x = edge + (self.width - edge - right - used) // 2
        for slot in self.slots:
            size = pitch if slot.cards else narrow
            slot.x = x + size // 2
            x += size
            for card in slot.cards.values():
                card.x, card.wide = slot.x, pitch - (24 if self.wide else 9)
        self.op_x = {slot: slot.x for slot in self.slots}
        if not self.wide:
            used_slots = [slot for slot in self.slots if any(at.slot is slot for at in self.at.values())]
            half = {
                slot: max(s.wide for s, at in self.at.items() if at.slot is slot) // 2 + 5
                for slot in used_slots
            }
            low = self.end_wide + 10 * len(self.taps) + 4
            for slot in used_slots:
                self.op_x[slot] = max(slot.x, low + half[slot])
                low = self.op_x[slot] + half[slot]
            high = self.width - self.end_wide - 4
            for slot in reversed(used_slots):
                self.op_x[slot] = min(self.op_x[slot], high - half[slot])
                high = self.op_x[slot] - half[slot]
        for shape, at in self.at.items():
            shape.x = self.op_x[at.slot]
            if at.half:
                before = self.slots[self.index(at.slot) - 1] if self.index(at.slot) else None
                shape.x -= min(86, (shape.x - (self.op_x[before] if before else 0)) // 2) if before else 40

    def is_tapped(self, state: str) -> bool:
        """Return whether a state's rail begins at the top, and cards read it at the bottom."""
        return self.on_top(state) and any(name.name == state for name, _ in self.buses)

    def on_top(self, state: str) -> bool:
        return any(source.kind == "start" and source.line == state for source, _, _ in self.links)

    def is_beside(self, state: str) -> bool:
        """Return whether a state's end stands beside the card that computes it: an empty lowest rail."""
        card = self.value[state, True]
        busy = self.on_top(state) or any(at.state == state for at in self.at.values())
        last = self.slots[-1].cards.get(0)
        return self.wide and state == self.rails[-1] and not busy and card is last

    def place_down(self, row_of: dict[str, int]) -> Diagram:
        high, gap = self.rows * self.row_high, 40
        last = max([*row_of.values(), *(row_of[at.state] + at.offset for at in self.at.values())], default=0)
        if self.is_beside(self.rails[-1]):
            last -= 1
        ys = [18 + high // 2]
        rails = {row: state for state, row in row_of.items()}
        for row in range(1, last + 1):
            ys.append(ys[-1] + gap)
            above = [other for other in rails if other < row]
            if row in rails and above:
                ys[row] = max(ys[row], ys[max(above)] + high + 22)
        for shape, at in self.at.items():
            shape.y = ys[row_of[at.state] + at.offset]
        bottom = ys[last] + 12 if last >= 0 else 0
        if not self.wide:
            bottom = max(bottom, ys[-1] + high // 2)
        tiers = max((tier for slot in self.slots for tier in slot.cards), default=0)
        for tier in range(tiers, -1, -1):
            size = 26 + (self.row_high if tier else high) + (0 if self.wide else 14)
            bottom += 22
            for slot in self.slots:
                if tier in slot.cards:
                    slot.cards[tier].y, slot.cards[tier].high = bottom + size // 2, size
            bottom += size
        for shape in self.shapes:
            if shape.kind == "end":
                shape.wide, shape.high = self.end_wide, high
                shape.x = self.width - self.end_wide // 2
                beside = self.is_beside(shape.line)
                shape.y = self.value[shape.line, True].y if beside else ys[row_of[shape.line]]
        return self.wire(row_of, ys, bottom, high)

    # How it is wired

    def wire(self, row_of: dict[str, int], ys: list[int], bottom: int, high: int) -> Diagram:
        depth = max(map(len, self.feeds.values()), default=0)
        buses = list(dict.fromkeys(name for name, _ in self.buses if name.name != "x"))
        has_x = any(name.name == "x" for name, _ in self.buses)
        lane = bottom + 14 + (40 if depth else 0) + (36 if depth > 1 else 0)
        below = [name for name in buses if not self.on_top(name.name)]
        starts = [shape for shape in self.shapes if shape.kind == "start"]
        for shape in starts:
            shape.wide, shape.high = self.end_wide, high
            shape.x, shape.y = (
                self.end_wide // 2 + (0 if self.wide else 10 * len(self.taps)),
                ys[row_of[shape.line]],
            )
        for name in below:
            self.read(name)
        top = max((shape.y + high // 2 for shape in starts), default=0)
        if self.wide and below:
            lane = max(lane, top + 24 * len(below) + high * len(below) - high // 2)
        lanes = {name: lane + 12 * index for index, name in enumerate(buses)}
        x_lane = lane + 12 * len(buses)
        lanes[Name("x")] = x_lane
        bottom = (x_lane if has_x else x_lane - 12) + 12
        for index, name in enumerate(below):
            start = self.read(name)
            start.wide, start.high, start.rows = self.end_wide, high, self.rows
            if self.wide:
                start.x, start.y = self.end_wide // 2, lanes[name] - index * (high + 24)
            else:
                start.x, start.y = self.end_wide // 2 + index * (self.end_wide + 8), bottom + 18 + high // 2
        ports: dict[tuple[str, Shape], int] = {}
        by_card: dict[Shape, list[str]] = {}
        for name, target in self.buses:
            card = next((card for card, feed in self.feeds.items() if target in feed), target)
            by_card.setdefault(card, [])
            by_card[card] += [name.name] if name.name not in by_card[card] else []
        for card, names in by_card.items():
            space = 30 if card in self.feeds else 18
            for index, each in enumerate(names):
                ports[each, card] = card.x - space * (len(names) - 1) // 2 + space * index
        for card, feed in self.feeds.items():
            state = next(name.name for name, target in self.buses if target is feed[-1])
            for index, shape in enumerate(feed):
                shape.x, shape.y = ports[state, card], card.y + card.high // 2 + 26 + 36 * index
        if has_x:
            x = self.add("input", "", rows=min(self.features, 8 if self.wide else 5))
            room = (
                self.width - 2 * self.end_wide - 40
                if self.wide
                else self.width - len(below) * (self.end_wide + 8)
            )
            x.wide, x.high = min(room, x.rows * (56 if self.wide else 44)), 28
            x.x, x.y = (
                (self.width if self.wide else self.width + len(below) * (self.end_wide + 8)) // 2,
                bottom + 14,
            )
        return self.draw_buses(lanes, ports, high)

    def draw_buses(self, lanes: dict[Name, int], ports: dict[tuple[str, Shape], int], high: int) -> Diagram:
        height = max(shape.y + shape.high // 2 for shape in self.shapes) + 16
        fixed: list[tuple[Shape, Shape, list[Point]]] = []
        for name, target in self.buses:
            card = next((card for card, feed in self.feeds.items() if target in feed), target)
            at, y = ports[name.name, card], target.y + target.high // 2
            if name.name == "x":
                fixed.append(
                    (
                        self.shapes[-1],
                        target,
                        [
                            (self.shapes[-1].x, self.shapes[-1].y - 14),
                            (self.shapes[-1].x, lanes[name]),
                            (at, lanes[name]),
                            (at, y),
                        ],
                    )
                )
                continue
            start, level = self.read(name), lanes[name]
            if not self.on_top(name.name) and self.wide:
                turn = self.end_wide + 10
                points = [(self.end_wide, start.y), (turn, start.y), (turn, level), (at, level), (at, y)]
            elif not self.on_top(name.name):
                points = [(start.x, start.y - high // 2), (start.x, level), (at, level), (at, y)]
            elif self.wide:
                turn = self.end_wide + 10 + 10 * self.taps.index(name.name)
                points = [(self.end_wide, start.y), (turn, start.y), (turn, level), (at, level), (at, y)]
            else:
                turn = 4 + 10 * self.taps.index(name.name)
                points = [
                    (start.x - self.end_wide // 2, start.y),
                    (turn, start.y),
                    (turn, level),
                    (at, level),
                    (at, y),
                ]
            fixed.append((start, target, points))
        for card, feed in self.feeds.items():
            for inner, outer in zip(feed[::-1], (*feed[-2::-1], card), strict=True):
                fixed.append((inner, outer, [(inner.x, inner.y - 12), (inner.x, outer.y + outer.high // 2)]))
        return self.route(fixed, height)

    def route(self, fixed: list[tuple[Shape, Shape, list[Point]]], height: int) -> Diagram:
        index = {shape: number for number, shape in enumerate(self.shapes)}
        boxes = [
            (s.x - s.wide // 2, s.y - s.high // 2, s.x + s.wide // 2, s.y + s.high // 2) for s in self.shapes
        ]
        every = [port for s in self.shapes for port in (*self.outs(s), *self.ins(s))]
        router = Router(boxes, every, [point for _, _, points in fixed for point in points])
        wires = []
        for source, target, points in fixed:
            points = [point for number, point in enumerate(points) if point not in points[:number]]
            router.draw(index[source], points)
            wires.append(Wire(index[source], index[target], "", tuple(points)))
            self.use(source, points[0])
            self.use(target, points[-1])
        order = sorted(
            self.links,
            key=lambda link: (not link[2], abs(link[0].x - link[1].x) + abs(link[0].y - link[1].y)),
        )
        for source, target, rail in order:
            outs, ins = self.outs(source), self.ins(target)
            if rail and source in self.at and not self.at[source].offset:
                outs = [port for port in outs if port[2] > 0]
            if rail and target in self.at:
                ins = [port for port in ins if port[2] < 0]
            points = router.connect(index[source], outs, ins)
            self.use(source, points[0])
            self.use(target, points[-1])
            wires.append(Wire(index[source], index[target], rail, tuple(points)))
        for shape in self.shapes:
            shape.ports = set()
        return Diagram(self.width, height, tuple(self.shapes), tuple(wires))

    def use(self, shape: Shape, point: Point) -> None:
        shape.ports.add((*point, 0, 0))

    def _free(self, shape: Shape, ports: Sequence[Port]) -> list[Port]:
        free = [port for port in ports if (*port[:2], 0, 0) not in shape.ports]
        return free or list(ports)

    def outs(self, shape: Shape) -> list[Port]:
        left, right, top, bottom = self.edges(shape)
        x, y = shape.x, shape.y
        if shape.kind == "start":
            return [(right, y, 1, 0)]
        if shape.kind == "card":
            slot = self.slot_of[shape]
            up = min(max(self.op_x[slot], left + 6), right - 6)
            return [(up, top, 0, -1), (right, y, 1, 0), (left, y, -1, 0)]
        return self._free(shape, [(right, y, 1, 0), (x, top, 0, -1), (x, bottom, 0, 1)])

    def ins(self, shape: Shape) -> list[Port]:
        left, right, top, bottom = self.edges(shape)
        x, y = shape.x, shape.y
        if shape.kind == "end":
            return [(left, y, -1, 0)]
        if shape.kind == "card":
            third = shape.wide // 3
            ports = [(left, y + 12, -1, 0), (right, y + 12, 1, 0)]
            ports += [
                (x + way * third, edge, 0, out) for way in (-1, 1) for edge, out in ((top, -1), (bottom, 1))
            ]
            ports += [(x, bottom, 0, 1)] if shape.rows == 1 else []
            return self._free(shape, ports)
        spread = (
            [x + 7 * (2 * k + 1 - shape.inputs) for k in range(shape.inputs)]
            if shape.kind == "function"
            else [x]
        )
        ports = [
            (left, y, -1, 0),
            *((each, edge, 0, out) for each in spread for edge, out in ((bottom, 1), (top, -1))),
        ]
        return self._free(shape, ports)

    def edges(self, shape: Shape) -> tuple[int, int, int, int]:
        wide, high = shape.wide // 2, shape.high // 2
        return shape.x - wide, shape.x + wide, shape.y - high, shape.y + high
