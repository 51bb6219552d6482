//! What a wrong configuration is answered: every problem at once, in its place, with a way to mend it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use energy::{finding::Kind, site::StateLimits};
use proptest::prelude::*;
use wattwarden::{
    cli::check::{self, CheckArgs},
    config::{
        self, Secrets,
        diagnostic::{Diagnostic, Paint, Severity, Source},
        mapping,
    },
    language::Language,
};

#[path = "config_errors/korean.rs"]
mod korean;

const SITE: &str = "[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\n";

fn found(text: &str) -> Vec<Diagnostic> {
    let parsed = config::parse(Source::new("w.toml", text), Path::new("/nonexistent"), Secrets::Read);
    let found = parsed.map_or_else(|found| found, |loaded| loaded.warnings);
    speaks_both(&found);
    found
}

/// Everything that is found has been said in Korean, too.
fn speaks_both(found: &[Diagnostic]) {
    for one in found {
        for text in [Some(&one.message), one.help.as_ref()].into_iter().flatten() {
            korean::check(&text.ko, &text.en);
        }
    }
}

/// What of `SITE` and `text` a Korean reads: `code message | help`, one a problem.
fn check_korean(text: &str, expected: &[&str]) {
    let shown = |one: &Diagnostic| {
        let help = one.help.as_ref().map(|help| format!(" | {}", help.ko));
        format!("{} {}{}", one.code.name(), one.message.ko, help.unwrap_or_default())
    };
    let found: Vec<String> = found(&format!("{SITE}{text}")).iter().map(shown).collect();
    assert_eq!(found, expected, "{text}");
}

/// What `SITE` and `text` are answered: `line:column code message | help`, one a problem; lines count from `text`.
fn check(text: &str, expected: &[&str]) {
    let n_before = SITE.lines().count();
    let shown = |one: &Diagnostic| {
        let place = one
            .place
            .as_ref()
            .map(|place| format!("{}:{} ", place.line as i64 - n_before as i64, place.column));
        let help = one.help.as_ref().map(|help| format!(" | {}", help.en));
        let (place, help) = (place.unwrap_or_default(), help.unwrap_or_default());
        format!("{place}{} {}{help}", one.code.name(), one.message.en)
    };
    let found: Vec<String> = found(&format!("{SITE}{text}")).iter().map(shown).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn an_error_is_shown_with_its_line_and_a_caret() {
    let text = format!(
        "{SITE}[[meter]]\nname = \"압축기-1\"\n[[machine]]\nname = \"압축기\"\nkind = \"compressor\"\nmeter = \"압축기-2\"\n"
    );
    let found = found(&text);
    let is_error = |one: &&Diagnostic| one.severity() == Severity::Error;
    let shown: Vec<String> = found
        .iter()
        .filter(is_error)
        .map(|one| one.render(Paint::PLAIN))
        .collect();
    let expected = "\
error E1107: no meter is called \"압축기-2\"
  ┌─ w.toml:9:9
 9 │ meter = \"압축기-2\"
   │         ^^^^^^^^^^
   = help: did you mean \"압축기-1\" (line 5)?
";
    assert_eq!(shown.first().map(String::as_str), Some(expected));
}

#[test]
fn a_korean_is_shown_the_same_in_korean() {
    let text =
        "[[meter]]\nname = \"압축기-1\"\n[[machine]]\nname = \"압축기\"\nkind = \"compressor\"\nmeter = \"압축기-2\"\n";
    let found = found(&format!("{SITE}{text}"));
    let korean = Paint {
        language: Language::Ko,
        ..Paint::PLAIN
    };
    let shown: Vec<String> = found.iter().map(|one| one.render(korean)).collect();
    let expected = "\
오류 E1107: 계측기 \"압축기-2\"은(는) 구성에 없습니다
  ┌─ w.toml:9:9
 9 │ meter = \"압축기-2\"
   │         ^^^^^^^^^^
   = 조치: \"압축기-1\"을(를) 뜻했습니까? (5행)
";
    assert!(shown.contains(&expected.to_owned()), "{shown:#?}");
}

#[test]
fn problems_are_told_in_korean_with_their_help() {
    check_korean(
        "[[bus]]\nname = 'b'\nmodbus = 'rtu:///dev/ttyUSB0?parity=mark'\nevery = 1\ntimeout = '1h'\n\
         [[meter]]\nname = 'm'\nbus = 'c'\nunit = 300\nprofile = 'eastron-sdm63'\npassword = 'x'\n[[machine]]\nname = 'p'\n\
         meter = 'm'\nrated_kw = 0\nshift = 'day'\ndetect.idle_runing = {}\n",
        &[
            "E1006 \"rtu:///dev/ttyUSB0?parity=mark\": parity는 none, even, odd 중 하나이며 \"mark\"은(는) 쓸 수 없습니다 \
             | tcp://HOST:PORT(예: \"tcp://192.0.2.10:502\"), tls://HOST, rtu+tcp://HOST:PORT 또는 \
             rtu:///dev/ttyUSB0?baud=9600&parity=even 형태로 쓰십시오",
            "E1005 \"every\" 값은 따옴표로 묶은 문자열이어야 하는데 정수입니다 | \"500ms\", \"1s\", \"10m\", \"1h\"처럼 정수와 단위를 쓰십시오",
            "E1006 \"timeout\" 값이 3600s입니다. 10ms에서 60s 사이여야 합니다",
            "N3001 계측기 \"m\"은(는) 기록되지만 어느 설비도 쓰지 않습니다 \
             | [[machine]]의 `meter`에 적으십시오. 적지 않아도 값은 저장됩니다",
            "E1006 \"unit\" 값이 300입니다. 1에서 255 사이여야 합니다",
            "E1108 \"eastron-sdm63\"은(는) 없는 프로파일입니다 | \"eastron-sdm630\"을(를) 뜻했습니까?",
            "E1401 \"password\" 값을 구성 파일에 직접 쓰면 안 됩니다. 파일을 복사할 때 함께 복사됩니다 \
             | 그 값만 담은 파일을 만들고 password_file = \"/path/of/that/file\"처럼 적으십시오",
            "E1004 [[machine]] \"p\"에 \"kind\" 키가 없습니다",
            "E1006 \"rated_kw\" 값은 0보다 커야 합니다",
            "E1107 근무조 \"day\"은(는) 구성에 없습니다",
            "E1003 \"idle_runing\"은(는) 없는 낭비 종류입니다 | \"idle_running\"을(를) 뜻했습니까?",
        ],
    );
    let registers = "registers = [{ at = 40001, type = 'u16', quantity = 'active_power_kw' }]\n";
    let meter = format!("[[meter]]\nname = 'm'\nbus = 'b'\nunit = 1\nmax_registers = 3\n{registers}");
    check_korean(
        &format!("main_meter = 'm'\n[[bus]]\nname = 'b'\nmodbus = 'tcp://h'\n{meter}"),
        &[
            "N3003 선로의 주소가 40001입니다. 설명서에 이렇게 적혀 있어도 실제 주소는 다른 경우가 많습니다 \
             | Modicon 번호 40001은(는) at = 0, table = \"holding\"입니다. 적힌 대로가 맞으면 base = 0을 쓰십시오",
        ],
    );
    let slow = "registers = [{ at = 0, type = 'f32', every = '100ms', quantity = 'active_power_kw' }]\n";
    let meters = (1..=4).map(|n| format!("[[meter]]\nname = 'm{n}'\nbus = 'b'\nunit = {n}\n{slow}"));
    let machines = (1..=4).map(|n| format!("[[machine]]\nname = 'p{n}'\nkind = 'fan'\nmeter = 'm{n}'\n"));
    let plant: String = meters.chain(machines).collect();
    check_korean(
        &format!("[[bus]]\nname = 'b'\nmodbus = 'rtu:///dev/ttyUSB0?baud=9600'\n{plant}"),
        &[
            "E1202 회선 \"b\": 요구한 만큼 읽을 수 없습니다. 100ms마다 요청 4회(레지스터 8개)에 173.96ms 걸리고, 더 드물게 읽는 것까지 \
             합하면 시간의 174 %가 필요합니다 (9600 baud 8E1, 응답 20ms로 가정: latency를 적으십시오) \
             | 100ms마다 읽는 값은 every = \"180ms\"이면 읽을 수 있습니다. 프로파일에 적힌 주기는 이 파일 옆 meters/ 폴더에 둔 사본에서 늘립니다",
        ],
    );
    check_korean("name = 'y'\n", &["E1001 TOML 문법에 맞지 않습니다. duplicate key"]);
}

/// The language asked for holds for what people read and for what programs show to people.
#[test]
fn check_tells_problems_in_the_language_asked_for() {
    let folder = std::env::temp_dir().join(format!("wattwarden-check-lang-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("w.toml");
    std::fs::write(&file, format!("{SITE}holidys = 'kr'\n")).unwrap();
    let told = |args: &[&str]| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_wattwarden"));
        let program = program.env("LC_ALL", "C").args(["check", "-c"]).arg(&file).args(args);
        String::from_utf8(program.output().unwrap().stdout).unwrap()
    };
    let (ko, en) = (
        "\"holidys\"은(는) [site]에 없는 키입니다",
        "[site] has no key \"holidys\"",
    );
    for (lang, message) in [(&["--lang", "ko"][..], ko), (&["--lang", "en"], en), (&[], en)] {
        let text = told(lang);
        assert!(text.contains(message), "{text}");
        let json: serde_json::Value = serde_json::from_str(&told(&[lang, &["--json"]].concat())).unwrap();
        assert_eq!(json["diagnostics"][0]["message"], message);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The looking at the Korean sees what is to be seen.
#[test]
fn what_is_left_in_english_is_found() {
    let is_good = |ko: &str, en: &str| {
        let (ko, en) = (ko.to_owned(), en.to_owned());
        std::panic::catch_unwind(move || korean::check(&ko, &en)).is_ok()
    };
    let en = "\"unit\" is 0: it must be 1 to 255";
    assert!(is_good("\"unit\" 값이 0입니다. 1에서 255 사이여야 합니다", en));
    assert!(is_good(
        "TOML 문법에 맞지 않습니다. this is said by somebody",
        "this is said by somebody"
    ));
    for bad in [
        en,
        "값이 0입니다",
        "\"unit\" 값이 0입니다. \"x\"처럼 쓰십시오",
        "\"unit\" 값: it must be something else",
    ] {
        assert!(!is_good(bad, en), "{bad}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let shown: Vec<String> = found("").iter().map(|one| one.message.en.clone()).collect();
    assert_eq!(shown, ["the file has no \"site\""]);
    check(
        "[[bus]]\n[[broker]]\n[[meter]]\n[[machine]]\n[[contract]]\n[[influx]]\n[[alert]]\n",
        &[
            "1:1 E1004 [[bus]] has no \"name\"",
            "1:1 E1004 [[bus]] has no \"modbus\"",
            "2:1 E1004 [[broker]] has no \"name\"",
            "2:1 E1004 [[broker]] has no \"mqtt\"",
            "3:1 E1004 [[meter]] has no \"name\"",
            "4:1 E1004 [[machine]] has no \"name\"",
            "4:1 E1004 [[machine]] has no \"kind\"",
            "4:1 E1004 [[machine]] has no \"meter\"",
            "5:1 E1004 [[contract]] has no \"from\"",
            "5:1 E1004 [[contract]] has no \"tariff\"",
            "5:1 E1004 [[contract]] has no \"contract_kw\"",
            "6:1 E1004 [[influx]] has no \"name\"",
            "6:1 E1004 [[influx]] has no \"url\"",
            "6:1 E1004 [[influx]] has no \"version\"",
            "7:1 E1004 [[alert]] has no \"name\"",
            "7:1 E1004 [[alert]] has no \"webhook\"",
        ],
    );
}

#[test]
fn words_that_are_nearly_right_are_suggested() {
    check(
        "holidys = 'kr'\nlanguage = 'kr'\ncarbon = 'kr-gird'\nshifts = { day = 'mon-fry 08:00-12:00' }\nmain_meter = 'incomer'\n[[meter]]\nname = 'incommer'\n[wbe]\n",
        &[
            "1:1 E1003 [site] has no key \"holidys\" | did you mean \"holidays\"?",
            "2:12 E1006 \"language\" cannot be \"kr\" | did you mean \"ko\"?",
            "3:10 E1108 no factor series is called \"kr-gird\" | did you mean \"kr-grid\"?",
            "4:18 E1006 \"fry\" is not a day (mon, tue, … sun): write a shift as \"mon-fri 08:00-12:00 13:00-18:00\"",
            "5:14 E1107 no meter is called \"incomer\" | did you mean \"incommer\" (line 10)?",
            "7:8 N3001 meter \"incommer\" is recorded, but no machine uses it | give it to a [[machine]] with `meter`; what it measures is kept either way",
            "8:2 E1003 the file has no key \"wbe\" | did you mean \"web\"?",
        ],
    );
}

/// What only the whole of a bus shows: told at the bus or the meter that it is about.
#[test]
fn buses_are_proven_to_give_what_is_asked() {
    let meter = |unit: u8| {
        format!(
            "[[meter]]\nname = 'm{unit}'\nbus = 'b'\nunit = {unit}\nregisters = [{{ at = 0, type = 'f32', quantity = 'active_power_kw' }}]\n\
                 [[machine]]\nname = 'x{unit}'\nkind = 'generic'\nmeter = 'm{unit}'\n"
        )
    };
    let meters = (1..=30).map(meter).collect::<Vec<_>>().concat();
    let bus = "[[bus]]\nname = 'b'\nmodbus = 'rtu:///dev/ttyUSB0?baud=9600'\n";
    check(
        &format!("{bus}{meters}"),
        &[
            "2:8 E1202 bus \"b\": the line cannot give what is asked: 30 requests for 60 registers take 1.30s of each 1s, with all that is read more slowly 130 % of the time (9600 baud 8E1, answers after 20ms assumed: set latency) | every = \"1400ms\" can be met for what is read every 1s",
        ],
    );
    check(&format!("{bus}latency = '5ms'\n{meters}"), &[]);
    let slow = meters.replace(
        "quantity = 'active_power_kw'",
        "every = '10s', quantity = 'active_power_kw'",
    );
    let fast = "[[meter]]\nname = 'f'\nbus = 'b'\nunit = 31\nregisters = [{ at = 0, type = 'f32', quantity = 'active_power_kw' }]\n\
                [[machine]]\nname = 'f'\nkind = 'generic'\nmeter = 'f'\n";
    check(
        &format!("{bus}{slow}{fast}"),
        &[
            "2:8 W2008 bus \"b\": when everything falls due together, a cycle takes 1.35s: beats that pass meanwhile are left out | read slow values less often, or from a bus of their own",
        ],
    );
    check(
        &format!(
            "{bus}connections = 2\n[[meter]]\nname = 'm'\nbus = 'b'\nunit = 1\nmax_registers = 3\nholes = [[9, 9]]\n\
             registers = [{{ at = 0, type = 'u16', exponent_at = 5, quantity = 'active_power_kw' }}]\n\
             [[machine]]\nname = 'f'\nkind = 'generic'\nmeter = 'm'\n"
        ),
        &["4:15 E1006 bus \"b\": 2 connections, but a serial port is opened once"],
    );
    check(
        &format!(
            "{bus}[[meter]]\nname = 'm'\nbus = 'b'\nunit = 1\nmax_registers = 3\n\
             registers = [{{ at = 0, type = 'u16', exponent_at = 5, quantity = 'active_power_kw' }}]\n\
             [[machine]]\nname = 'f'\nkind = 'generic'\nmeter = 'm'\n"
        ),
        &[
            "5:8 E1201 meter \"m\": at most 3 registers a read, but active_power_kw (with the register that scales it) takes 6 and no device gives more than 125",
        ],
    );
    check(
        "[[bus]]\nname = 'b'\nmodbus = 'tls://h'\nca_file = 'absent.pem'\ncertificate_file = 'c.pem'\n\
         [[bus]]\nname = 'c'\nmodbus = 'tcp://h'\nca_file = 'absent.pem'\npause = '11s'\n",
        &[
            "4:11 E1402 /nonexistent/absent.pem cannot be used as certificate: I/O error: No such file or directory (os error 2) | PEM files, readable by the user wattwarden",
            "5:20 E1004 certificate_file and key_file belong together: one of them is missing",
            "9:11 W2005 certificates have no effect here: only tls:// is encrypted",
            "10:9 E1006 \"pause\" is 11s: it must be at most 10s",
        ],
    );
}

#[test]
fn lines_and_meters_are_checked() {
    check(
        "[[bus]]\nname = 'a'\nmodbus = 'rtu:///dev/ttyUSB0?baud=slow'\n[[bus]]\nname = 'b'\nmodbus = 'http://x'\nevery = '50ms'\ntimeout = '1h'\n\
         [[bus]]\nname = 'c'\nmodbus = 'tcp://h'\n[[broker]]\nname = 'm'\nmqtt = 'tcp://h'\n\
         [[meter]]\nname = 'x'\nbus = 'c'\nunit = 0\nregisters = [{ at = 0, type = 'f32', quantity = 'active_power' }]\n\
         [[meter]]\nname = 'x'\nbus = 'd'\nunit = 1\n[[meter]]\nname = 'y'\nbus = 'c'\nbroker = 'm'\nunit = 1\nprofile = 'schneider-pm532'\n",
        &[
            "3:10 E1006 \"rtu:///dev/ttyUSB0?baud=slow\": \"slow\" is no speed: write bits a second, as baud=9600 | write tcp://HOST:PORT, as \"tcp://192.0.2.10:502\", tls://HOST, rtu+tcp://HOST:PORT, or rtu:///dev/ttyUSB0?baud=9600&parity=even",
            "6:10 E1006 \"http://x\" is not the address of a Modbus line | write tcp://HOST:PORT, as \"tcp://192.0.2.10:502\", tls://HOST, rtu+tcp://HOST:PORT, or rtu:///dev/ttyUSB0?baud=9600&parity=even",
            "7:9 E1006 \"every\" is 50ms: shorter than 100ms cannot be kept up",
            "8:11 E1006 \"timeout\" is 3600s: it must be 10ms to 60s",
            "14:8 E1006 \"tcp://h\" is not the address of an MQTT broker | write mqtt://HOST:PORT, or mqtts://HOST:PORT for an encrypted one",
            "16:8 N3001 meter \"x\" is recorded, but no machine uses it | give it to a [[machine]] with `meter`; what it measures is kept either way",
            "18:8 E1006 \"unit\" is 0: it must be 1 to 255",
            "19:49 E1107 no quantity is called \"active_power\" | did you mean \"active_power_kw\"?",
            "20:1 E1004 [[meter]] \"x\" says neither \"profile\" nor \"registers\"",
            "21:8 E1101 two things of kind meter are called \"x\"; the first stands on line 19 | give one of them another name, or take it out",
            "25:8 N3001 meter \"y\" is recorded, but no machine uses it | give it to a [[machine]] with `meter`; what it measures is kept either way",
            "27:10 E1110 [[meter]] \"y\" cannot hang on a bus and on a broker | leave one of the two out; a second way of measuring is a [[meter]] of its own",
            "29:11 E1108 no meter profile is called \"schneider-pm532\" | did you mean \"schneider-pm5320\"?",
        ],
    );
}

#[test]
fn mqtt_values_are_pointers_to_live_quantities() {
    check(
        "[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\n[[meter]]\nname = 'x'\nbroker = 'm'\ntopic = 'a/#/b'\n\
         values = { 'apower' = 'active_power_kw', '/e' = 'interval_energy_kwh' }\n[[machine]]\nname = 'x'\nkind = 'fan'\nmeter = 'x'\n",
        &[
            "7:9 E1006 \"a/#/b\" is not a topic, nor a filter with + or # in their places",
            "8:12 E1006 \"apower\" is not a JSON pointer: it begins with \"/\", or is \"\" for the whole payload | write \"/apower\"",
            "8:49 E1201 interval_energy_kwh comes from recordings only: a live reading does not say its interval | read the meter's counter, as energy_import_kwh",
        ],
    );
}

#[test]
fn authorities_for_a_line_that_is_not_encrypted_are_warned_of() {
    check(
        "[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\nca_file = 'plant.pem'\n[[broker]]\nname = 's'\nmqtt = 'mqtts://h'\nca_file = 'plant.pem'\n",
        &[
            "4:11 W2005 \"ca_file\" vouches for nobody here: what goes to mqtt:// is not encrypted | write mqtts:// if the broker offers it",
            "5:1 E1402 broker \"s\": no certificate authority read from \"/nonexistent/plant.pem\": No such file or directory (os error 2); a PEM file is wanted | PEM files, readable by the user wattwarden; certificate and key belong together",
        ],
    );
}

#[test]
fn two_sessions_of_one_name_at_one_broker_are_refused() {
    let broker = |name: &str, url: &str| format!("[[broker]]\nname = '{name}'\nmqtt = '{url}'\nclient_id = 'same'\n");
    check(
        &[
            broker("m", "mqtt://h"),
            broker("o", "mqtt://other"),
            broker("s", "mqtt://h:1883"),
        ]
        .concat(),
        &[
            "12:13 E1110 broker \"m\" at the same address has client_id \"same\" too: each connection would end the other | give each its own, or write one [[broker]]",
        ],
    );
}

#[test]
fn what_a_broker_cannot_be_told_is_refused() {
    check(
        "[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\nversion = '4'\nkeep_alive = '1s'\nstatus_topic = 'a/#'\n\
         [[broker]]\nname = 's'\nmqtt = 'mqtts://h'\ncert_file = 'us.pem'\n\
         [[broker]]\nname = 't'\nmqtt = 'mqtt://h'\ncert_file = 'us.pem'\nkey_file = 'us.key'\n",
        &[
            "4:11 E1006 \"version\" cannot be \"4\" | did you mean \"5\"?",
            "5:14 E1006 \"keep_alive\" is 1s: it must be 5s to 64800s",
            "6:16 E1006 \"a/#\" is not a topic that something can be published under",
            "7:1 E1004 [[broker]] \"s\" has only one of \"cert_file\" and \"key_file\" | a certificate is shown with its private key: name both files",
            "14:13 W2005 \"cert_file\" is shown to nobody here: what goes to mqtt:// is not encrypted | write mqtts:// if the broker offers it",
            "15:12 W2005 \"key_file\" is shown to nobody here: what goes to mqtt:// is not encrypted | write mqtts:// if the broker offers it",
        ],
    );
}

#[test]
fn patterns_and_sparkplug_devices_are_checked() {
    check(
        "[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\n\
         [[meter]]\nname = '{n}'\nbroker = 'm'\ntopic = 'a/{n}'\nvalues = { '' = 'active_power_kw' }\neach = [{ n = 'x' }, { n = 'x' }]\n\
         [[meter]]\nname = 'y'\nbroker = 'm'\ntopic = 'a/{n}'\nvalues = { '' = 'active_power_kw' }\nzone = 'Asia/Seoul'\n\
         [[meter]]\nname = 'z'\nbroker = 'm'\nsparkplug = 'g'\nmetrics = { 'kW' = 'active_power' }\n\
         [[meter]]\nname = 'w'\nbroker = 'm'\nsparkplug = 'g/n'\n\
         [[meter]]\nname = 'v'\neach = [{ n = '1' }]\n\
         [[machine]]\nname = 'x'\nkind = 'fan'\nmeter = 'x'\n[[machine]]\nname = 'y'\nkind = 'fan'\nmeter = 'y'\n\
         [[machine]]\nname = 'z'\nkind = 'fan'\nmeter = 'z'\n[[machine]]\nname = 'w'\nkind = 'fan'\nmeter = 'w'\n\
         [[machine]]\nname = 'v'\nkind = 'fan'\nmeter = 'v'\n",
        &[
            "5:8 E1101 two things of kind meter are called \"x\"; the first stands on line 8 | give one of them another name, or take it out",
            "13:9 E1006 the topic has {n}, and nothing says what that stands for | list the meters: each = [{ n = \"…\" }, …]",
            "15:8 W2005 \"zone\" is of a time in the payload, but no \"time\" says where that stands",
            "19:13 E1006 \"g\" is not the address of a Sparkplug device | write GROUP/NODE/DEVICE, or GROUP/NODE for what the edge node says of itself",
            "20:20 E1107 no quantity is called \"active_power\" | did you mean \"active_power_kw\"?",
            "21:1 E1004 [[meter]] \"w\" has no \"metrics\"",
            "25:1 E1110 [[meter]] \"v\" has \"each\", which is for topics of a broker | write a [[meter]] for each of them",
        ],
    );
}

#[test]
fn a_broker_that_would_hold_back_is_warned_of() {
    let meters = (0..45).map(|n| {
        format!(
            "[[meter]]\nname = 'x{n}'\nbroker = 'm'\ntopic = 't{n}'\nevery = '100ms'\nvalues = {{ '' = 'active_power_kw' }}\n\
             [[machine]]\nname = 'x{n}'\nkind = 'fan'\nmeter = 'x{n}'\n"
        )
    });
    let broker = "[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\n".to_owned();
    let text = std::iter::once(broker).chain(meters).collect::<Vec<_>>().concat();
    check(
        &text,
        &[
            "1:1 W2003 broker \"m\": 450 messages a second are asked for; with 20 unacknowledged, the usual limit, a slow disk lets 400 through | raise the broker's limit (mosquitto: max_inflight_messages), or publish less often",
        ],
    );
}

#[test]
fn machines_are_checked() {
    check(
        "shifts = { day = 'mon-fri 08:00-12:00' }\nmain_meter = 'x'\n[[meter]]\nname = 'x'\n\
         [[machine]]\nname = 'a'\nkind = 'pres'\nmeter = 'x'\nshift = 'dya'\n\
         [[machine]]\nname = 'b'\nkind = 'press'\nmeter = 'x'\nrated_kw = -1\noff_below_kw = 3\n\
         [[machine]]\nname = 'c'\nkind = 'press'\nmeter = 'x'\nrated_kw = 55\noff_below_kw = 30\n\
         detect.idle_runing = { after = '10m' }\ndetect.idle_running = { aftr = '10m', after = 10 }\n\
         detect.harmonics = { above = 3 }\ndetect.off_hours_load = false\n\
         inputs = { p = 'x', q = 'y.pressure_bar', r = 'x.presure_bar' }\norders_file = 'none.csv'\n\
         open = ['2026-08-01 13:00/09:00']\n[[machine]]\nname = 's'\nkind = 'fan'\nmeter = 'x'\n",
        &[
            "-1:8 E1110 machine \"s\" has the site's name but not its kind | give that machine another name, or kind = \"site\"",
            "7:8 E1006 \"kind\" cannot be \"pres\" | did you mean \"press\"?",
            "9:9 E1107 no shift is called \"dya\" | did you mean \"day\" (line 4)?",
            "10:1 E1004 [[machine]] \"b\": its states need rated_kw, or both off_below_kw and running_from_kw",
            "14:12 E1006 \"rated_kw\" must be above zero",
            "16:1 E1110 [[machine]] \"c\": its states do not ascend: off below 30 kW, standby 0 kW, up to 30 kW, running from 19.25 kW",
            "22:8 E1003 no kind of waste is called \"idle_runing\" | did you mean \"idle_running\"?",
            "23:25 E1003 detect.idle_running has no key \"aftr\" | did you mean \"after\"?",
            "23:47 E1005 \"after\" must be a text in quotes, got a whole number | write a whole number and its unit, as \"500ms\", \"1s\", \"10m\" or \"1h\"",
            "24:8 W2001 harmonics is not detected by this version: its settings wait for one that does",
            "26:10 N3002 \"inputs\" is read but not used yet",
            "26:16 E1006 \"x\" is not a meter's quantity: write \"METER.QUANTITY\"",
            "26:26 E1107 no meter is called \"y\" | did you mean \"x\" (line 7)?",
            "26:47 E1107 no quantity is called \"presure_bar\" | did you mean \"pressure_bar\"?",
            "27:15 N3002 \"orders_file\" is read but not used yet",
            "27:15 E1002 no file of orders at /nonexistent/none.csv",
            "28:9 E1006 \"2026-08-01 13:00/09:00\" ends before it begins: write the earlier end first; past midnight as \"2026-08-01 22:00/2026-08-02 06:00\"",
        ],
    );
}

#[test]
fn contracts_are_checked() {
    check(
        "main_meter = 'x'\n[[meter]]\nname = 'x'\n\
         [[contract]]\nfrom = '2025-01-01'\ntariff = 'kepco-industrial-b-high-a-4'\ncontract_kw = 900\n\
         [[contract]]\nfrom = 2025-01-01\ntariff = 'kepco-industrial-a2-high-a-1'\ncontract_kw = 0\nreading_day = 31\ndeferred = true\narea = 'jejoo'\n\
         earlier_peaks = { '2025-8' = 812, '2025-09' = -1 }\nedition = '2018-01-01'\n",
        &[
            "6:10 E1108 no tariff is called \"kepco-industrial-b-high-a-4\" | did you mean \"kepco-industrial-b-high-a-1\", \"kepco-industrial-b-high-a-2\" or \"kepco-industrial-b-high-a-3\"?",
            "8:1 W2005 tariff \"kepco-industrial-a2-high-a-1\" has no reform that could be deferred",
            "9:8 E1101 two contracts begin on 2025-01-01; the first stands on line 8",
            "11:15 E1006 \"contract_kw\" must be above zero",
            "12:15 E1006 \"reading_day\" is 31: it must be 1 to 28",
            "14:8 E1107 the tariff has no area \"jejoo\" | known here: jeju",
            "15:19 E1006 \"2025-8\" is not a month: write \"2026-08\"",
            "15:47 E1006 a maximum demand must not be negative",
            "16:11 E1006 the prices of this tariff begin on 2024-10-24: before that money is unknown | edition = \"DATE\" prices everything by the rules of one day",
        ],
    );
}

/// Each class of tariff is for contracts of some demand; another is priced all the same, and said.
#[test]
fn a_contract_that_its_tariff_is_not_for_is_said() {
    let contract = |tariff: &str, kw: f64, expected: &[&str]| {
        let meter = "main_meter = 'x'\n[[meter]]\nname = 'x'\n";
        let contract = format!("[[contract]]\nfrom = '2025-01-01'\ntariff = '{tariff}'\ncontract_kw = {kw}\n");
        check(&format!("{meter}{contract}"), expected);
    };
    let help = "| compare \"tariff\" with the contract type on the bill (KEPCO 기본공급약관 2024-10-24, 제59조)";
    let said = |what: &str| format!("7:15 W2009 {what} {help}");
    let a2 = "Industrial (A) II, high voltage A, option Ⅰ is for contracts from 4 kW to below 300 kW, not of 900 kW";
    contract("kepco-industrial-a2-high-a-1", 900.0, &[&said(a2)]);
    let b = "Industrial (B), high voltage A, option Ⅱ is for contracts from 300 kW on, not of 299 kW";
    contract("kepco-industrial-b-high-a-2", 299.0, &[&said(b)]);
    let a1 = "Industrial (A) I, low voltage is for contracts from 4 kW to below 500 kW, not of 3 kW";
    contract("kepco-industrial-a1-low", 3.0, &[&said(a1)]);
    for (tariff, kw) in [
        ("kepco-industrial-a2-high-a-1", 299.0),
        ("kepco-industrial-b-high-a-2", 300.0),
        ("kepco-industrial-a1-low", 450.0),
    ] {
        contract(tariff, kw, &[]);
    }
    let zone = "6:10 W2013 the hours and months of this tariff are those of America/Phoenix, the site is in Asia/Seoul | write \
                zone = \"Asia/Seoul\" in the tariff's file of rules, or mend \"zone\" of [site]";
    contract("us-commercial-tou", 5000.0, &[zone]);
}

#[test]
fn outputs_are_checked() {
    check(
        "[store]\nmax_size = '8GB'\n[record]\ncommit_every = 500\n",
        &[
            "2:12 E1006 \"8GB\" is not a size: write a whole number with KiB, MiB, GiB or TiB, as \"8GiB\"",
            "4:16 E1005 \"commit_every\" must be a text in quotes, got a whole number | write a whole number and its unit, as \"500ms\", \"1s\", \"10m\" or \"1h\"",
        ],
    );
    check(
        "[store]\nmax_size = '1MiB'\n[web]\nlisten = '0.0.0.0:8420'\n\
         [[influx]]\nname = 'a'\nurl = 'http://h:8086'\nversion = 3\n\
         [[influx]]\nname = 'd'\nurl = 'http://h:8086'\nversion = 3\ntoken = 'x'\nbatch_line = 1\n\
         [[influx]]\nname = 'b'\nurl = 'h:8086'\nversion = 2\norg = 'o'\nbucket = 'b'\ntoken = 'x'\n\
         [[alert]]\nname = 'c'\nwebhook = 'https://u:p@h'\nseverity = 'p4'\n",
        &[
            "2:12 E1006 \"max_size\" must be at least 64MiB: less cannot hold a day",
            "4:10 E1501 the page would listen on 0.0.0.0:8420: it has no sign-in yet, so it stays on this machine | write 127.0.0.1:8420 and reach it through an SSH tunnel",
            "8:11 E1301 InfluxDB 3 is not in this version: 1 and 2 are | InfluxDB 3 also takes writes of version 2: try version = 2 with org, bucket and token_file",
            "12:11 E1301 InfluxDB 3 is not in this version: 1 and 2 are | InfluxDB 3 also takes writes of version 2: try version = 2 with org, bucket and token_file",
            "13:1 E1401 \"token\" must not stand in the configuration: it would be copied with the file | write it alone into a file and say token_file = \"/path/of/that/file\"",
            "14:1 E1003 [[influx]] \"d\" has no key \"batch_line\" | did you mean \"batch_lines\"?",
            "15:1 E1004 [[influx]] \"b\" has no \"token_file\"",
            "17:7 E1006 \"h:8086\" is not an address: write \"http://HOST:PORT\"",
            "21:1 E1401 \"token\" must not stand in the configuration: it would be copied with the file | write it alone into a file and say token_file = \"/path/of/that/file\"",
            "24:11 E1401 a password must not stand in an address: it would be copied with the file",
            "25:12 E1006 \"severity\" cannot be \"p4\" | did you mean \"p1\", \"p2\" or \"p3\"?",
        ],
    );
}

#[cfg(unix)]
#[test]
fn secrets_come_from_files_that_others_cannot_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("wattwarden-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("{SITE}[[broker]]\nname = 'm'\nmqtt = 'mqtt://h'\nusername = 'u'\npassword_file = 'hall'\n");
    let parse = || config::parse(Source::new("w.toml", &text), &folder, Secrets::Read);
    let codes = |found: &[Diagnostic]| {
        speaks_both(found);
        found.iter().map(|one| one.code.name()).collect::<Vec<_>>()
    };

    assert_eq!(codes(&parse().unwrap_err()), ["E1402"]);
    std::fs::write(folder.join("hall"), "hunter2\n").unwrap();
    for (mode, expected) in [(0o644, vec!["W2002"]), (0o600, vec![])] {
        std::fs::set_permissions(folder.join("hall"), std::fs::Permissions::from_mode(mode)).unwrap();
        let loaded = parse().unwrap();
        assert_eq!(codes(&loaded.warnings), expected);
        let broker = &loaded.config.brokers[0];
        assert_eq!(
            broker.password.as_ref().map(wattwarden::secret::Secret::expose),
            Some("hunter2")
        );
        assert!(
            !format!("{:?}", loaded.config).contains("hunter2"),
            "a secret is never printed"
        );
    }
    std::fs::write(folder.join("hall"), "\n").unwrap();
    assert_eq!(codes(&parse().unwrap_err()), ["E1402"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn fuels_and_instruments_are_checked() {
    check(
        "carbon = 'us-egrid'\n[[meter]]\nname = 'g'\n[[fuel]]\nmeter = 'h'\nfuel = 'city-gas'\nnm3_per_m3 = 0\n\
         [[fuel]]\nmeter = 'g'\nfuel = 'city-gas-lgn'\n[[fuel]]\nmeter = 'g'\nfuel = 'diesel'\nseries = 'kr-fuel'\nnm3_per_m3 = 1\n\
         [[fuel]]\nmeter = 'g'\nfuel = 'diesel'\nnm3_per_m3 = 1\n",
        &[
            "1:10 E1004 this factor series has regions and [site] has no \"carbon_region\" | one of 52, as carbon_region = \"alabama\"",
            "5:9 E1107 no meter is called \"h\" | did you mean \"g\" (line 6)?",
            "7:14 E1006 \"nm3_per_m3\" must be above zero",
            "8:1 E1004 [[fuel]] has no \"nm3_per_m3\"",
            "10:8 E1107 no fuel that is counted in Nm³ is called \"city-gas-lgn\" | did you mean \"city-gas-lng\"?",
            "14:10 E1108 no factor series is called \"kr-fuel\" | did you mean \"kr-fuels\"?",
            "18:8 E1107 no fuel that is counted in Nm³ is called \"diesel\" | known here: city-gas-lng, city-gas-lpg",
        ],
    );
    check(
        "[[instrument]]\n[[instrument]]\nname = 'r'\nkind = 'rec'\nfrom = 2024-02-01\nto = 2024-01-31\nshare = 0.5\n\
         kgco2e_per_kwh = -1\nsource = 'x'\n[[instrument]]\nname = 'r'\nkind = 'ppa'\nfrom = 2024-01-01\nto = 2024-12-31\n\
         share = 1.5\nkgco2e_per_kwh = 0\nsource = 'x'\n[[instrument]]\nname = 's'\nkind = 'sun'\nfrom = 2024-01-01\n\
         to = 2024-12-31\nshare = 0.5\nenergy_kwh = 4\nkgco2e_per_kwh = 0\nsource = 'x'\n",
        &[
            "1:1 E1004 [[instrument]] has no \"name\"",
            "1:1 E1004 [[instrument]] has no \"kind\"",
            "1:1 E1004 [[instrument]] has no \"from\"",
            "1:1 E1004 [[instrument]] has no \"to\"",
            "1:1 E1004 [[instrument]] has no \"energy_kwh\"",
            "1:1 E1004 [[instrument]] has no \"kgco2e_per_kwh\"",
            "1:1 E1004 [[instrument]] has no \"source\"",
            "6:6 E1006 \"to\" is 2024-01-31, before \"from\"",
            "7:9 E1110 a certificate or premium is bought by the kWh: write energy_kwh, not share",
            "8:18 E1006 \"kgco2e_per_kwh\" must not be negative",
            "11:8 E1101 two things of kind instrument are called \"r\"; the first stands on line 6 | give one of them another name, or take it out",
            "15:9 E1006 \"share\" is 1.5: it must be above 0 and at most 1",
            "20:8 E1006 \"kind\" cannot be \"sun\" | one of: rec, green_premium, ppa, supplier",
            "23:9 E1110 \"energy_kwh\" and \"share\" cannot both be given",
        ],
    );
}

#[test]
fn a_meter_that_gives_no_gas_measures_no_fuel() {
    check(
        "[[broker]]\nname = 'b'\nmqtt = 'mqtt://h'\n[[meter]]\nname = 'g'\nbroker = 'b'\ntopic = 't'\nvalues = { '' = 'water_m3' }\n\
         [[fuel]]\nmeter = 'g'\nfuel = 'city-gas-lng'\nnm3_per_m3 = 1\n",
        &["10:9 E1110 meter \"g\" does not give \"gas_m3\""],
    );
    check(
        "carbon_region = 'texas'\n",
        &["1:17 W2005 \"carbon_region\" has no effect without \"carbon\""],
    );
}

#[test]
fn a_folder_beside_the_configuration_overrides_a_shipped_file_whole() {
    let folder = std::env::temp_dir().join(format!("wattwarden-beside-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("factors")).unwrap();
    let file = folder.join("factors/kr-grid.toml");
    let own = "title = { ko = '가', en = 'a' }\n[[factor]]\nid = 'own'\nkgco2e_per_kwh = 0.5\npurpose = 'esg_location'\nuse_from = '2020-01-01'\nauthority = 'a'\nsource = 's'\nstatus = 's'\n";
    let parse = || {
        let text = format!("{SITE}carbon = 'kr-grid'\n");
        config::parse(Source::new("w.toml", &text), &folder, Secrets::Read)
    };
    std::fs::write(&file, own).unwrap();
    assert_eq!(parse().unwrap().config.site.carbon.unwrap().factor[0].id, "own");

    std::fs::write(&file, own.replace("status", "state")).unwrap();
    let found = parse().unwrap_err();
    speaks_both(&found);
    let place = found[0].place.as_ref().unwrap();
    assert_eq!(
        (found[0].code.name(), place.line, place.column),
        ("E1109", 9, 1),
        "{}",
        found[0]
    );
    assert!(place.file.ends_with("factors/kr-grid.toml"), "{}", place.file);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_mapping_says_what_it_lacks() {
    let check = |text: &str, expected: &[&str]| {
        let found = mapping::parse(Source::new("m.toml", text), None)
            .err()
            .unwrap_or_default();
        speaks_both(&found);
        let found: Vec<&str> = found.iter().map(|one| one.message.en.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    };
    check(
        "",
        &[
            "the mapping has no \"time\"",
            "the mapping has no \"meter\"",
            "the mapping has no \"columns\"",
        ],
    );
    check(
        "delimiter = 'x'\n[time]\nmarks = 'interval-end'\nformat = 'dd-mm'\n[meter]\n[columns]\na = 'kwh'\n",
        &[
            "\"x\" is not a delimiter: write one character, as \",\", \";\" or \"\\t\"",
            "[time] needs either \"column\" or \"columns\"",
            "[time] marks an interval but has no \"interval\"",
            "\"dd-mm\" is not a time format: write strftime, as \"%d-%m-%Y %H:%M\", or unix_s, unix_ms, rfc3339",
            "[meter] needs either \"name\" or \"column\"",
            "no quantity is called \"kwh\"",
        ],
    );
    check(
        "[time]\ncolumns = ['d', 't']\nformat = '%Y-%m-%d %H:%M'\n[meter]\ncolumn = 'm'\n[columns]\na = 'interval_energy_kwh'\nb = 'interval_energy_kwh'\n",
        &[
            "[time] has no \"zone\", and its format names none",
            "interval_energy_kwh belongs to an interval, but the times mark instants",
            "two columns are mapped to interval_energy_kwh",
        ],
    );
    check(
        "[time]\ncolumn = 't'\nformat = 'unix_s'\n[meter]\nname = 'm'\n[columns]\na = { quantity = 'active_power_kw', scale = 0.001 }\n",
        &[],
    );
}

/// A wrong zone or name of the site hides nothing that stands below it.
#[test]
fn errors_of_the_site_do_not_hide_the_others() {
    let text = "[site]\nname = 'x'\nzone = 'Asia/Seol'\nmain_meter = 'm'\n[[machine]]\nname = 'p'\nkind = 'pres'\nmeter = 'n'\n";
    let messages: Vec<String> = found(text).into_iter().map(|one| one.message.en).collect();
    let expected = [
        "\"Asia/Seol\" is not a time zone: write its IANA name, as \"Asia/Seoul\"",
        "no meter is called \"m\"",
        "\"kind\" cannot be \"pres\"",
        "no meter is called \"n\"",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn check_exits_by_what_it_found() {
    let folder = std::env::temp_dir().join(format!("wattwarden-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("w.toml");
    let store = "[store]\npath = '.'\n";
    let late = "[[machine]]\nname = 'a'\nkind = 'fan'\nmeter = 'x'\ndetect.harmonics = {}\n";
    for (text, strict, expected) in [
        (String::new(), false, 2),
        (format!("{SITE}{store}"), true, 0),
        (format!("{SITE}{store}[[meter]]\nname = 'x'\n{late}"), false, 0),
        (format!("{SITE}{store}[[meter]]\nname = 'x'\n{late}"), true, 4),
        (format!("{SITE}[store]\npath = 'absent'\n"), false, 0),
        (format!("{SITE}[store]\npath = 'absent'\n"), true, 4),
        (format!("{SITE}[store]\npath = 'w.toml'\n"), true, 4),
    ] {
        std::fs::write(&file, &text).unwrap();
        let args = CheckArgs {
            config: file.clone(),
            json: strict,
            strict,
            live: false,
            lang: None,
        };
        let exit = std::process::ExitCode::from(expected);
        assert_eq!(format!("{:?}", check::run(&args)), format!("{exit:?}"), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Everything the design's example has, so that mutations reach every reader.
const WHOLE: &str = include_str!("config_errors/whole.toml");

#[test]
fn the_whole_example_is_right() {
    let parsed = config::parse(
        Source::new("whole.toml", WHOLE),
        Path::new("/nonexistent"),
        Secrets::LeaveOut,
    );
    let loaded = parsed.unwrap_or_else(|found| panic!("{}", found.iter().map(ToString::to_string).collect::<String>()));
    let notes: Vec<String> = loaded
        .warnings
        .iter()
        .map(|one| format!("{} {}", one.code.name(), one.message.en))
        .collect();
    let unverified = "N3005 nobody has compared profile \"schneider-pm5320\" with a device or the maker's document";
    assert_eq!(notes, [unverified, "N3002 \"inputs\" is read but not used yet"]);
    let site = &loaded.config.site;
    let names: Vec<&str> = site.machines.iter().map(|machine| machine.name.as_ref()).collect();
    assert_eq!(
        names,
        ["ansan-1", "press-2", "dryer"],
        "the main meter implies a machine of the site's name"
    );
    let press = &site.machines[1];
    let expected = StateLimits {
        off_below_kw: 55.0 * 0.02,
        standby_below_kw: 2.0 * 1.5,
        running_from_kw: 55.0 * 0.35,
        standby_kw: 2.0,
    };
    assert_eq!(press.states, Some(expected));
    assert_eq!(press.detect[&Kind::IdleRunning]["after"], 600.0);
    assert!(!press.detect.contains_key(&Kind::OffHoursLoad), "switched off");
    assert!(
        press.detect.contains_key(&Kind::MeterSilent),
        "looked for at every machine"
    );
    let contract = &site.contracts[0];
    assert!(contract.holidays.contains(&"2025-06-06".parse().unwrap()));
    assert!(
        !contract.holidays.contains(&"2025-06-03".parse().unwrap()),
        "declared ad hoc: a working day of the tariff"
    );
    assert_eq!(contract.earlier_peaks[&"2025-08-01".parse().unwrap()], 812.0);
    let every: Vec<i64> = site.meters.iter().map(|meter| meter.every.as_secs()).collect();
    assert_eq!(every, [1, 1, 10, 60]);
}

#[test]
fn rules_of_the_user_are_checked_hour_by_hour() {
    let folder = std::env::temp_dir().join(format!("wattwarden-rules-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("tariffs/rules")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tariffs/rules/kepco-industrial-b.toml");
    let rules = std::fs::read_to_string(shipped).unwrap();
    let text = format!(
        "{SITE}main_meter = 'm'\n[[meter]]\nname = 'm'\n\
         [[contract]]\nfrom = '2026-01-01'\ntariff = 'kepco-industrial-b-high-a-2'\ncontract_kw = 900\n"
    );
    for (from, to, expected) in [
        (
            "peak = [\"15-21\"]",
            "peak = [\"15-20\"]",
            Some("bands from 2026-04-16, season spring_autumn: hour 20 stands in no band"),
        ),
        (
            "peak = [\"15-21\"]",
            "peak = [\"14-21\"]",
            Some("bands from 2026-04-16, season spring_autumn: hour 14 stands in 2 bands"),
        ),
        (
            "summer = [6, 7, 8]",
            "summer = [6, 7]",
            Some("[seasons] must hold each month from 1 to 12 once"),
        ),
        (
            "Asia/Seoul",
            "Asia/Soul",
            Some(
                "parsed apparent IANA time zone identifier, but the tzdb lookup failed: failed to find time zone `Asia/Soul` in time zone database",
            ),
        ),
        (
            "peak = [\"15-21\"]",
            "peak = [\"15-2\"]",
            Some("\"15-2\" is not a stretch of hours: write \"08-11\" or \"22-08\""),
        ),
        ("", "", None),
    ] {
        std::fs::write(
            folder.join("tariffs/rules/kepco-industrial-b.toml"),
            rules.replace(from, to),
        )
        .unwrap();
        let found = config::parse(Source::new("w.toml", &text), &folder, Secrets::Read)
            .err()
            .unwrap_or_default();
        speaks_both(&found);
        assert_eq!(found.first().map(|one| one.message.en.as_str()), expected);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_a_meter_says_of_itself_is_checked() {
    let card = "class = \"0.5S\"\nct_ratio = \"200/5\"\nvt_ratio = \"22900/110\"\nmaker = \"m\"\nserial = \"1\"\nowner = \"o\"\n\
                place = \"p\"\ncalibrated = \"2025-03-02\"\ncalibration_every = \"7y\"\nrollover_kwh = 1000000\n\
                swaps = [{ at = \"2026-03-02T10:20:00+09:00\", last_kwh = 81234.5, first_kwh = 3.2, reason = \"r\" }]\n";
    let unused = |line: u8, name| {
        format!(
            "{line}:8 N3001 meter {name:?} is recorded, but no machine uses it | give it to a [[machine]] with `meter`; what it \
             measures is kept either way"
        )
    };
    check(
        &format!("[[meter]]\nname = \"a\"\n{card}[[meter]]\nname = \"b\"\nparent = \"a\"\n"),
        &[&unused(2, "a"), &unused(15, "b")],
    );
    check(
        "[[meter]]\nname = \"a\"\nclass = \"5\"\nct_ratio = \"200:5\"\ncalibrated = \"2025\"\ncalibration_every = \"7d\"\n\
         rollover_kwh = 0\nswaps = [{ at = \"2026-03-02\", last_kwh = -1 }]\n",
        &[
            &unused(2, "a"),
            "3:9 E1006 \"5\" is no class of accuracy: write one of 0.1S, 0.2S, 0.5S, 0.1, 0.2, 0.5, 1, 1.0, 2, 2.0, 3",
            "4:12 E1006 \"200:5\" is not a ratio: write primary and secondary, as \"200/5\"",
            "5:14 E1006 \"2025\" is not a day: write \"2026-08-01\"",
            "6:21 E1006 \"7d\" is no time between calibrations: write years or months, as \"7y\" or \"18mo\"",
            "7:16 E1006 \"rollover_kwh\" must be above zero",
            "8:10 E1004 the swap has no \"first_kwh\"",
            "8:17 E1006 \"2026-03-02\" is not an instant: write \"2026-03-02T10:20:00+09:00\"",
            "8:42 E1006 \"last_kwh\" must not be negative",
        ],
    );
    check(
        "[[meter]]\nname = \"a\"\nparent = \"b\"\n[[meter]]\nname = \"b\"\nparent = \"a\"\n",
        &[
            &unused(2, "a"),
            "3:10 E1110 meter \"a\" is its own ancestor",
            &unused(5, "b"),
            "6:10 E1110 meter \"b\" is its own ancestor",
        ],
    );
    check(
        "[[meter]]\nname = \"a\"\nparent = \"a\"\n[[meter]]\nname = \"b\"\nparent = \"aa\"\n",
        &[
            &unused(2, "a"),
            "3:10 E1110 meter \"a\" is its own ancestor",
            &unused(5, "b"),
            "6:10 E1107 no meter is called \"aa\" | did you mean \"a\" (line 5)?",
        ],
    );
    check(
        "[[meter]]\nname = \"a\"\nswaps = [\n{ at = \"2026-03-02T10:20:00+09:00\", last_kwh = 1, first_kwh = 0 },\n\
         { at = \"2026-03-01T10:20:00+09:00\", last_kwh = 1, first_kwh = 0 }]\ncalibration_every = \"7y\"\n",
        &[
            &unused(2, "a"),
            "5:8 E1110 the swap of 2026-03-01T01:20:00Z is not after the one before it | write them in order of time",
            "6:21 W2005 [[meter]] \"a\" has calibration_every but no calibrated: nothing falls due",
        ],
    );
}

#[test]
fn a_calibration_that_was_due_is_noted() {
    let text = SITE.to_owned() + "[[meter]]\nname = \"a\"\ncalibrated = \"2019-03-02\"\ncalibration_every = \"7y\"\n";
    let loaded = config::parse(Source::new("w.toml", &text), Path::new("/nonexistent"), Secrets::Read).unwrap();
    let noted = |today: &str| {
        let notes = config::meter_card::overdue(&loaded.config.site.meters, today.parse().unwrap());
        speaks_both(&notes);
        notes.iter().map(|note| note.message.en.clone()).collect::<Vec<_>>()
    };
    assert!(noted("2026-03-02").is_empty());
    assert_eq!(
        noted("2026-03-03"),
        ["meter \"a\": its calibration was due on 2026-03-02, the last one was on 2019-03-02"]
    );
}

#[test]
fn a_demand_interval_that_the_tariff_does_not_bill_is_warned_of() {
    let text = SITE.to_owned()
        + "demand_interval = \"30m\"\nmain_meter = \"a\"\n[[contract]]\nfrom = \"2024-11-01\"\n\
           tariff = \"kepco-industrial-b-high-a-2\"\ncontract_kw = 900\n[[meter]]\nname = \"a\"\n";
    assert!(
        found(&text).iter().any(|one| one.code.name() == "W2006"),
        "{:?}",
        found(&text)
    );
    assert!(found(&text.replace("30m", "15m")).is_empty());
}

#[test]
fn demand_is_measured_over_intervals_that_divide_an_hour() {
    let with = |interval: &str| {
        let text = SITE.to_owned() + &format!("demand_interval = {interval:?}\n");
        config::parse(Source::new("w.toml", &text), Path::new("/nonexistent"), Secrets::Read)
            .map(|loaded| loaded.config.site.demand_interval.as_mins())
            .map_err(|found| found[0].message.en.clone())
    };
    for (text, minutes) in [
        ("1m", 1),
        ("5m", 5),
        ("10m", 10),
        ("15m", 15),
        ("30m", 30),
        ("60m", 60),
        ("1h", 60),
    ] {
        assert_eq!(with(text), Ok(minutes));
    }
    for text in ["20m", "2h", "15"] {
        assert!(with(text).unwrap_err().contains(&format!("{text:?}")));
    }
}

/// Reads and shows everything, so that neither the reader nor the renderer may panic.
fn survive(text: &str) {
    let found = config::parse(Source::new("w", text), Path::new("/nonexistent"), Secrets::LeaveOut);
    for one in found.err().unwrap_or_default() {
        assert!(!one.render(Paint::PLAIN).is_empty());
    }
    drop(mapping::parse(Source::new("m", text), None));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(\\PC|[\\[\\]={}\"'\n\\\\#,.0-9a-z\t\r-]){0,200}") {
        survive(&text);
    }

    #[test]
    fn a_mutated_configuration_is_answered(
        at in 0..WHOLE.chars().count(),
        n_removed in 0usize..40,
        inserted in "(\\PC|[\\[\\]={}\"'\n\\\\]|-1|1e999|inf|nan|0x|99999999999999999999|9999-12-31|true|압){0,4}",
    ) {
        let kept: String = WHOLE.chars().take(at).chain(inserted.chars()).chain(WHOLE.chars().skip(at + n_removed)).collect();
        survive(&kept);
    }
}

const BUS: &str = "[[bus]]\nname = \"b\"\nmodbus = \"tcp://192.0.2.10\"\n";

/// A copied block whose address was left as it was.
#[test]
fn what_is_read_twice_is_said() {
    let meter = |name: &str, bus: &str, unit: u8| {
        format!(
            "[[meter]]\nname = \"{name}\"\nbus = \"{bus}\"\nunit = {unit}\n\
             registers = [{{ at = 0, type = \"f32\", quantity = \"active_power_kw\" }}]\n\
             [[machine]]\nname = \"{name}\"\nkind = \"press\"\nmeter = \"{name}\"\n"
        )
    };
    check(&[BUS, &meter("m1", "b", 1), &meter("m2", "b", 2)].concat(), &[]);
    check(
        &[BUS, &meter("m1", "b", 1), &meter("m2", "b", 1)].concat(),
        &[
            "14:8 W2010 meter \"m2\" reads the same registers of unit 1 as \"m1\": one load is counted twice \
           | give each meter the unit that is set at the device",
        ],
    );
    let twice = |address: &str| {
        let bus = |name: &str| format!("[[bus]]\nname = \"{name}\"\nmodbus = \"{address}\"\n");
        [bus("b"), bus("c"), meter("m1", "b", 1), meter("m2", "c", 2)].concat()
    };
    check(
        &twice("tcp://192.0.2.10"),
        &[
            "5:8 W2010 bus \"c\" is on the same line as \"b\": many gateways and meters serve one connection only \
           | hang its meters on one [[bus]]",
        ],
    );
    check(
        &twice("rtu:///dev/ttyUSB0"),
        &[
            "5:8 E1110 bus \"c\" is on the same line as \"b\": only one of them can open it \
           | hang its meters on one [[bus]]",
        ],
    );
}

#[test]
fn a_filter_for_one_meter_and_a_time_without_zone_are_warned_of() {
    let meter = |rest: &str| {
        format!(
            "[[broker]]\nname = \"h\"\nmqtt = \"mqtt://192.0.2.20\"\n[[meter]]\nname = \"m\"\nbroker = \"h\"\n{rest}\
             [[machine]]\nname = \"m\"\nkind = \"press\"\nmeter = \"m\"\n"
        )
    };
    let values = "values = { \"/p\" = \"active_power_kw\" }\n";
    check(&meter(&format!("topic = \"plant/m/p\"\n{values}")), &[]);
    for topic in ["plant/+/p", "plant/#"] {
        check(
            &meter(&format!("topic = \"{topic}\"\n{values}")),
            &[&format!(
                "7:9 W2011 \"{topic}\" takes what every matching topic says for this one meter \
                 | write a capture in place of +, as {{machine}}, and list the meters with each"
            )],
        );
    }
    let local = "time = \"/t\"\nlocal_time = true\ntopic = \"plant/m/p\"\n";
    check(&meter(&format!("{local}zone = \"Asia/Seoul\"\n{values}")), &[]);
    check(
        &meter(&format!("{local}{values}")),
        &[
            "9:9 W2012 the device says local times without a zone: what comes late would be stamped when it arrives \
           | write zone = \"Asia/Seoul\", or the zone that the device's clock is set to",
        ],
    );
}
