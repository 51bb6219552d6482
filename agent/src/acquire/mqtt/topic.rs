//! Which topics a filter means, by the rules of MQTT 3.1.1 section 4.7. Pure.
//!
//! It does not judge whether a filter is well formed: the broker does when it is subscribed to.

/// Whether `filter` means `topic`: `+` stands for one level, `#` at the end for the rest and for its parent, and
/// neither at the beginning for topics of the broker itself (`$SYS/…`).
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        match (level, topic_levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_mean_what_the_specification_says() {
        for (filter, topic, expected) in [
            ("plant/dryer/power", "plant/dryer/power", true),
            ("plant/dryer/power", "plant/dryer", false),
            ("plant/dryer", "plant/dryer/power", false),
            ("plant/+/power", "plant/dryer/power", true),
            ("plant/+/power", "plant/hall/dryer/power", false),
            ("plant/+", "plant", false),
            ("plant/+", "plant/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("plant/#", "plant/hall/dryer", true),
            ("plant/#", "plant", true),
            ("#", "plant/dryer", true),
            ("#", "$SYS/broker/uptime", false),
            ("+/broker/uptime", "$SYS/broker/uptime", false),
            ("$SYS/#", "$SYS/broker/uptime", true),
            ("Plant/dryer", "plant/dryer", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    proptest! {
        #[test]
        fn a_topic_means_itself_and_any_level_may_be_a_plus(levels in prop::collection::vec("[a-c]{0,2}", 1..5), nth: prop::sample::Index) {
            let topic = levels.join("/");
            prop_assert!(matches(&topic, &topic));
            let mut filter = levels.clone();
            filter[nth.index(levels.len())] = "+".to_owned();
            prop_assert!(matches(&filter.join("/"), &topic));
            filter.truncate(nth.index(levels.len()) + 1);
            filter.push("#".to_owned());
            prop_assert!(matches(&filter.join("/"), &topic));
        }
    }
}
