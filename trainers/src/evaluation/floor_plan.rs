//! A home seen from above, as SVG: rooms, doorways, furniture, and where somebody walked.

use std::fmt::Write as _;

use sim::household::EntityId;
use sim::scenario::Instance;

/// Pixels per meter; a home of 10 m is as wide as a column of the report.
const SCALE: f32 = 44.0;
/// Empty border in meters.
const BORDER: f32 = 0.3;

/// The floor plan with a path; `named` things are drawn with their names, other movable things are left out.
pub fn svg(instance: &Instance, path: &[[f32; 2]], named: &[EntityId]) -> String {
    let corners = || {
        instance
            .layout
            .rooms
            .iter()
            .flat_map(|room| room.corners.iter())
    };
    let low = |axis: usize| corners().map(|c| c[axis]).fold(f32::INFINITY, f32::min) - BORDER;
    let high = |axis: usize| corners().map(|c| c[axis]).fold(f32::NEG_INFINITY, f32::max) + BORDER;
    let (left, top) = (low(0), high(1));
    let (width, height) = ((high(0) - left) * SCALE, (top - low(1)) * SCALE);
    // y points up in the world and down on paper
    let at = |point: [f32; 2]| [(point[0] - left) * SCALE, (top - point[1]) * SCALE];

    let mut svg = format!(
        "<svg class=\"plan\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"max-width:{width:.0}px\" role=\"img\">"
    );
    for room in &instance.layout.rooms {
        let points: Vec<String> = room
            .corners
            .iter()
            .map(|corner| {
                let [x, y] = at(*corner);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        push(
            &mut svg,
            format_args!("<polygon class=\"room\" points=\"{}\"/>", points.join(" ")),
        );
    }
    for door in &instance.layout.doors {
        let half = door.width / 2.0;
        let [dx, dy] = if door.along_x {
            [half, 0.0]
        } else {
            [0.0, half]
        };
        let [x1, y1] = at([door.at[0] - dx, door.at[1] - dy]);
        let [x2, y2] = at([door.at[0] + dx, door.at[1] + dy]);
        push(
            &mut svg,
            format_args!(
                "<line class=\"door\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
            ),
        );
    }
    things(&mut svg, instance, named, at);
    for room in &instance.layout.rooms {
        let n = room.corners.len() as f32;
        let x = room.corners.iter().map(|c| c[0]).sum::<f32>() / n;
        let y = room.corners.iter().map(|c| c[1]).sum::<f32>() / n;
        let [x, y] = at([x, y]);
        let name = escape(instance.house.name(room.room));
        push(
            &mut svg,
            format_args!("<text class=\"room-name\" x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>"),
        );
    }
    if let Some(start) = path.first() {
        let points: Vec<String> = path
            .iter()
            .map(|point| {
                let [x, y] = at(*point);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        push(
            &mut svg,
            format_args!("<polyline class=\"walk\" points=\"{}\"/>", points.join(" ")),
        );
        let [x, y] = at(*start);
        push(
            &mut svg,
            format_args!("<circle class=\"start\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>"),
        );
        let end = path.last().filter(|end| *end != start);
        if let Some([x, y]) = end.map(|end| at(*end)) {
            push(
                &mut svg,
                format_args!("<circle class=\"end\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"),
            );
        }
    }
    svg + "</svg>"
}

fn things(
    svg: &mut String,
    instance: &Instance,
    named: &[EntityId],
    at: impl Fn([f32; 2]) -> [f32; 2],
) {
    let house = &instance.house;
    let mut names = String::new();
    let mut taken: Vec<[f32; 2]> = Vec::new();
    for id in house.ids() {
        let Some(class) = house.class(id) else {
            continue;
        };
        let is_named = named.contains(&id);
        if !class.fixed && !is_named {
            continue;
        }
        let pose = instance.layout.poses[usize::from(id.0)];
        let [x, y] = at([pose.position[0], pose.position[1]]);
        // depth runs along x, width along y
        let (w, h) = (
            (class.size[0] * SCALE).max(7.0),
            (class.size[1] * SCALE).max(7.0),
        );
        let kind = if is_named { "thing named" } else { "thing" };
        let turn = -pose.yaw.to_degrees();
        let title = escape(house.name(id));
        push(
            svg,
            format_args!(
                "<rect class=\"{kind}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"2\" \
                 transform=\"rotate({turn:.0} {x:.1} {y:.1})\"><title>{title}</title></rect>",
                x - w / 2.0,
                y - h / 2.0,
            ),
        );
        if is_named {
            // Names of things that lie together are stacked.
            let mut y = y - 9.0;
            while taken
                .iter()
                .any(|other| (other[0] - x).abs() < 90.0 && (other[1] - y).abs() < 13.0)
            {
                y -= 13.0;
            }
            taken.push([x, y]);
            push(
                &mut names,
                format_args!("<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\">{title}</text>"),
            );
        }
    }
    svg.push_str(&names);
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing into a string does not fail");
}

/// Text between HTML tags or in an attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
