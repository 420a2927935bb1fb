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
#let tip(angle) = rotate(angle, origin: top + left,
  polygon(fill: ink, (0pt, 0pt), (-2.2pt, -4.2pt), (2.2pt, -4.2pt)))
#let small(body) = text(size: 0.82em, fill: luma(20%), body)

// a shape, broken only between its factors
#let shape(parts) = small(parts.map(part => box(part)).join([ × ]))

// an arrow downwards, with what flows beside it, and what a function between two parts makes of it
#let flow(parts, ..made) = layout(size => {
  let words = { shape(parts); for each in made.pos() { small[ → ]; shape(each) } }
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

#let end(name) = align(center, block(inset: (x: 8pt, y: 3pt), radius: 8pt, stroke: 0.6pt + ink, fill: white,
  breakable: false, emph(name)))

#let part(name, detail, parameters, fill, side: none, mark: none) = block(
  width: 100%, fill: fill, stroke: 0.6pt + ink, radius: 2.5pt, inset: (x: 5pt, y: 4pt), breakable: false, {
    if mark != none { place(left + horizon, dx: -5pt, mark) }
    grid(columns: (1fr, auto), column-gutter: 6pt, align: (left + horizon, right + horizon),
      { set par(leading: 0.4em);
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
    // the line from the border to the first arrow passes between the name and the numbers
    layout(size => {
      let side = size.width / 2 - 5pt
      let words = { set par(leading: 0.4em); if times == "" { emph(name) } else {
        grid(columns: (auto, 1fr), column-gutter: 4pt, align: left + horizon,
          box(fill: ink, radius: 2pt, inset: (x: 3pt, y: 2pt), text(fill: white, weight: "bold", times)),
          emph(name)) } }
      let height = calc.max(measure(words, width: side).height, 11pt.to-absolute())
      block(width: size.width, height: height, {
        place(top + left, dx: size.width / 2, dy: -5pt,
          line(angle: 90deg, length: height + 5pt, stroke: line-stroke))
        place(left + horizon, block(width: side, words))
        place(right + horizon, block(width: side, align(right, small(parameters))))
      })
    })
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

// a command breaks between its words; only a word too long for half a line breaks anywhere
#let command(words) = text(font: "DejaVu Sans Mono", size: 0.72em, words.split(" ").map(word =>
  if word.len() < 36 { box(word) } else { word.clusters().join(h(0pt)) }).join(" "))

// from the end of one column to parts of the other, through the gap between them
#let contexts(from, to) = layout(size => context {
  let (here, start) = (here().position(), locate(label(from)).position())
  let (x0, y0) = (start.x - here.x, start.y - here.y)
  let gap = size.width / 2
  for each in to {
    let end = locate(label(each)).position()
    let (x1, y1) = (end.x - here.x, end.y - here.y)
    let turn = if y1 > y0 { 4pt } else { -4pt }
    place(top + left, curve(stroke: 1.1pt + ink,
      curve.move((x0, y0)), curve.line((gap - 4pt, y0)), curve.quad((gap, y0), (gap, y0 + turn)),
      curve.line((gap, y1 - turn)), curve.quad((gap, y1), (gap + 4pt, y1)), curve.line((x1 - 3pt, y1))))
    place(top + left, dx: x1, dy: y1, tip(-90deg))
  }
})
"""
