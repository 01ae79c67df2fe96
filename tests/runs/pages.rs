//! The commands of the README, and of pages beside it: those that take no time are run, of the others every word is known.

use crate::files::exporting::with_models;
use crate::language::docs::blocks;
use crate::runs::cli::Place;
use std::fs;
use std::process::{Command, Output};

fn shell(place: &Place, line: &str) -> Output {
    let command = line.replacen("sphc ", &format!("'{}' ", env!("CARGO_BIN_EXE_sphc")), 1);
    Command::new("sh").args(["-c", &command]).current_dir(place.directory.path()).output().unwrap()
}

fn runs(place: &Place, line: &str) {
    let output = shell(place, line);
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn lines(page: &str, fence: &str) -> Vec<String> {
    let text: Vec<String> = blocks(page, fence).into_iter().map(|it| it.1).collect();
    text.iter().flat_map(|it| it.lines()).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

#[test]
fn what_the_readme_says_can_be_pasted() {
    let place = with_models();
    let all = lines("README.md", "```sh");
    assert!(!all.is_empty());
    all.iter().for_each(|it| runs(&place, it));
}

#[test]
fn pictures_of_ones_own_are_learned_in_five_lines() {
    let place = Place::new();
    for part in ["train", "test"] {
        for (class, value) in [("cat", 20), ("dog", 220)] {
            let folder = place.path("pictures").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for at in 0..16 {
                let picture = image::RgbImage::from_pixel(70, 80, image::Rgb([value, at * 15, 99]));
                picture.save(folder.join(format!("{at}.png"))).unwrap();
            }
        }
    }
    let all = lines("README.md", "```sh pictures");
    assert_eq!(all.len(), 5);
    for line in all {
        // As long as a test may be.
        let line = line.replace("--iterations 300", "--iterations 2").replace("00000300", "00000002");
        runs(&place, &line);
    }
    assert!(place.path("pets.onnx").is_file());
}

#[test]
fn every_word_of_what_takes_longer_is_known() {
    let place = Place::new();
    let all = ["README.md", "docs/paper.md", "docs/training.md"].map(|page| lines(page, "```sh no run")).concat();
    let commands: Vec<&str> = all.iter().filter_map(|it| it.strip_prefix("sphc ")).collect();
    assert!(4 <= commands.len(), "{commands:?}");
    for it in commands {
        // A wrong flag is told before help is given.
        runs(&place, &format!("sphc {} --help", it.split(" #").next().unwrap()));
    }
    let output = shell(&place, "sphc train a.sph --no-such-flag --help");
    assert_eq!(output.status.code(), Some(2), "that would go unseen");
}
