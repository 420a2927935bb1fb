"""How a diagram looks: typst functions that `glassformer.reports.diagram` calls. Lengths follow the text."""

FONT = "Libertinus Serif"

FILLS = {
    "attention": "#b9cfe8",
    "feed-forward": "#f3cfa4",
    "norm": "#f2efe0",
    "embedding": "#c9e2c4",
    "positions": "#dcecd8",
    "pooling": "#e3d3e8",
    "linear": "#d9d4ee",
    "": "#f0f0f0",
}
"""A word in a part's label -> its colour. They differ in lightness too; the label says what it is."""

FUNCTIONS = """
#let ink = luma(25%)
#let line-stroke = 0.7pt + ink
#let lane = 11pt
#let tip(angle) = rotate(angle, polygon(fill: ink, (0pt, 0pt), (-2.2pt, -4.2pt), (2.2pt, -4.2pt)), origin: top + left)
#let small(body) = text(size: 0.82em, fill: luma(20%), body)

// a shape, broken only between its factors
#let shape(parts) = small(parts.map(part => box(part)).join([ × ]))

// an arrow downwards, with what flows beside it
#let flow(parts) = layout(size => {
  let words = shape(parts)
  let half = size.width / 2 - 5pt
  let height = calc.max(16pt.to-absolute(), measure(words, width: half).height + 7pt)
  block(width: 100%, height: height, breakable: false, {
    place(top + left, dx: 50%, line(angle: 90deg, length: height - 3pt, stroke: line-stroke))
    place(top + left, dx: 50%, dy: height, tip(0deg))
    place(left + horizon, dx: 50% + 5pt, block(width: half, words))
  })
})

#let tail = block(width: 100%, height: 7pt,
  place(top + left, dx: 50%, line(angle: 90deg, length: 7pt, stroke: line-stroke)))

#let end(name, parts) = align(center, block(inset: (x: 6pt, y: 3pt), radius: 8pt, stroke: 0.6pt + ink, fill: white,
  breakable: false, [#emph(name) #h(3pt) #shape(parts)]))

#let part(name, detail, parameters, fill, side: none, mark: none) = block(
  width: 100%, fill: fill, stroke: 0.6pt + ink, radius: 2.5pt, inset: (x: 5pt, y: 4pt), breakable: false, {
    if mark != none { place(left + horizon, dx: -5pt, mark) }
    grid(columns: (1fr, auto), column-gutter: 6pt, align: (left + horizon, right + horizon),
      { set par(leading: 0.4em); set text(hyphenate: true)
        strong(name)
        if detail != "" { linebreak(); small(detail) }
        if side != none { linebreak(); small(side) } },
      small(parameters))
  })

// a part that has parts: its name, how many of it follow one another, and what is in it
#let group(name, times, parameters, body) = block(
  width: 100%, fill: luma(98.5%), stroke: (paint: ink, thickness: 0.6pt, dash: "densely-dashed"), radius: 5pt,
  inset: (x: 6pt, top: 5pt, bottom: 0pt), breakable: false, {
    set block(spacing: 0pt)
    grid(columns: (1fr, auto), column-gutter: 6pt, align: (left + horizon, right + horizon),
      { if times != "" { box(fill: ink, radius: 2pt, inset: (x: 3pt, y: 2pt), baseline: 2pt,
          text(fill: white, weight: "bold", times)); h(4pt) }
        emph(name) },
      small(parameters))
    body
  })

// a residual: what comes in goes round the body and is added to what comes out of it
#let residual(body) = layout(size => {
  let inside = block(width: size.width - 2 * lane, { set block(spacing: 0pt); body; tail })
  let height = measure(inside).height
  let r = 4.2pt
  let (middle, right) = (size.width / 2, size.width - lane / 2)
  block(width: size.width, height: height + 2 * r, breakable: false, {
    place(top + left, dx: lane, inside)
    place(top + left, curve(stroke: line-stroke,
      curve.move((middle, 2.5pt)), curve.line((right - 4pt, 2.5pt)),
      curve.quad((right, 2.5pt), (right, 6.5pt)),
      curve.line((right, height + r - 4pt)),
      curve.quad((right, height + r), (right - 4pt, height + r)),
      curve.line((middle + r + 3pt, height + r))))
    place(top + left, dx: middle + r, dy: height + r, tip(90deg))
    place(top + left, dx: middle - r, dy: height, circle(radius: r, stroke: line-stroke, fill: white))
    place(top + left, curve(stroke: line-stroke,
      curve.move((middle - 2.4pt, height + r)), curve.line((middle + 2.4pt, height + r)),
      curve.move((middle, height + r - 2.4pt)), curve.line((middle, height + r + 2.4pt))))
  })
})

#let spot(name) = [#box(width: 0pt, height: 0pt, metadata(name))#label(name)]

// from the end of one column to parts of the other, through the gap between them
#let contexts(from, to) = context {
  let (here, start) = (here().position(), locate(label(from)).position())
  let x(place) = place.x - here.x
  let y(place) = place.y - here.y
  for each in to {
    let end = locate(label(each)).position()
    let gap = x(end) - 13pt
    place(top + left, curve(stroke: 1.1pt + ink,
      curve.move((x(start), y(start))), curve.line((gap - 4pt, y(start))),
      curve.quad((gap, y(start)), (gap, y(start) + if y(end) > y(start) { 4pt } else { -4pt })),
      curve.line((gap, y(end) + if y(end) > y(start) { -4pt } else { 4pt })),
      curve.quad((gap, y(end)), (gap + 4pt, y(end))), curve.line((x(end) - 3pt, y(end)))))
    place(top + left, dx: x(end), dy: y(end), tip(-90deg))
  }
}
"""
