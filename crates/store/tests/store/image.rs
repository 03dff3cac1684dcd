//! A folder's files as bytes: copied, mixed, altered and written back, to simulate power cuts and damage.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::random::Random;

const BLOCK: usize = 4096;

/// Every file below a folder. Blocks of zeros are left out, because engines preallocate.
#[derive(Clone, Default)]
pub(crate) struct Image {
    files: BTreeMap<PathBuf, Contents>,
}

#[derive(Clone, Default, PartialEq)]
struct Contents {
    length: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Image {
    pub(crate) fn take(folder: &Path) -> Self {
        let mut image = Self::default();
        image.collect(folder, Path::new(""));
        image
    }

    fn collect(&mut self, folder: &Path, below: &Path) {
        for entry in fs::read_dir(folder.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.collect(folder, &path);
            } else {
                self.files.insert(path, Contents::read(&entry.path()));
            }
        }
    }

    pub(crate) fn write(&self, folder: &Path) {
        for (path, contents) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            contents.write(&path);
        }
    }

    /// A power cut between two images: of what was written in between, any part may be on disk.
    pub(crate) fn cut_between(before: &Self, now: &Self, how: Cut, random: &mut Random) -> Self {
        let mut image = now.clone();
        for (path, contents) in &mut image.files {
            let old = before.files.get(path).cloned().unwrap_or_default();
            let changed: Vec<u64> = contents.changed_since(&old);
            if changed.is_empty() {
                continue;
            }
            match how {
                Cut::Tail => contents.cut_tail(&old, &changed, random),
                Cut::Pages => contents.lose_pages(&old, &changed, random),
            }
        }
        image
    }

    /// Flips one bit in the used part of a wanted file.
    pub(crate) fn flip_bit(&mut self, random: &mut Random, wanted: impl Fn(&Path) -> bool) -> PathBuf {
        let (path, number) = self.pick_block(random, wanted);
        let block = self.files.get_mut(&path).unwrap().blocks.get_mut(&number).unwrap();
        let used = block.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        block[pick(random, used)] ^= 1 << random.below(8);
        path
    }

    /// Cuts a file somewhere in its used part.
    pub(crate) fn cut_file(&mut self, random: &mut Random, wanted: impl Fn(&Path) -> bool) -> PathBuf {
        let (path, number) = self.pick_block(random, wanted);
        let contents = self.files.get_mut(&path).unwrap();
        let length = number * as_u64(BLOCK) + random.below(as_u64(contents.blocks[&number].len()));
        contents.truncate(length);
        path
    }

    fn pick_block(&self, random: &mut Random, wanted: impl Fn(&Path) -> bool) -> (PathBuf, u64) {
        let blocks: Vec<_> = self
            .files
            .iter()
            .filter(|(path, _)| wanted(path))
            .flat_map(|(path, contents)| contents.blocks.keys().map(move |number| (path.clone(), *number)))
            .collect();
        blocks[pick(random, blocks.len())].clone()
    }
}

/// What a power cut leaves of unsynced writes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Cut {
    /// A beginning, cut at any byte.
    Tail,
    /// Any of the pages.
    Pages,
}

impl Contents {
    fn read(path: &Path) -> Self {
        let mut file = fs::File::open(path).unwrap();
        let mut contents = Self { length: file.metadata().unwrap().len(), blocks: BTreeMap::new() };
        let mut buffer = vec![0; 256 * BLOCK];
        let mut number = 0;
        loop {
            let mut filled = 0;
            while filled < buffer.len() {
                let read = file.read(&mut buffer[filled..]).unwrap();
                if read == 0 {
                    break;
                }
                filled += read;
            }
            if filled == 0 {
                return contents;
            }
            let zeros = [0; BLOCK];
            for block in buffer[..filled].chunks(BLOCK) {
                if block != &zeros[..block.len()] {
                    contents.blocks.insert(number, block.to_vec());
                }
                number += 1;
            }
        }
    }

    fn write(&self, path: &Path) {
        let mut file = fs::File::create(path).unwrap();
        file.set_len(self.length).unwrap();
        for (number, block) in &self.blocks {
            file.seek(SeekFrom::Start(number * as_u64(BLOCK))).unwrap();
            file.write_all(block).unwrap();
        }
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let mut block = self.blocks.get(&number).cloned().unwrap_or_default();
        block.resize(BLOCK, 0);
        block
    }

    fn changed_since(&self, old: &Self) -> Vec<u64> {
        self.blocks
            .iter()
            .filter(|(number, block)| old.blocks.get(number) != Some(block))
            .map(|(number, _)| *number)
            .collect()
    }

    /// New bytes up to somewhere, old ones (or none) behind.
    fn cut_tail(&mut self, old: &Self, changed: &[u64], random: &mut Random) {
        let at = pick(random, changed.len());
        for number in &changed[at..] {
            let mut mixed = old.block(*number);
            if *number == changed[at] {
                let new = self.block(*number);
                let kept = pick(random, new.len() + 1);
                mixed[..kept].copy_from_slice(&new[..kept]);
            }
            self.set(*number, mixed);
        }
    }

    fn lose_pages(&mut self, old: &Self, changed: &[u64], random: &mut Random) {
        for number in changed {
            if random.below(2) == 0 {
                self.set(*number, old.block(*number));
            }
        }
    }

    fn set(&mut self, number: u64, mut block: Vec<u8>) {
        let left = self.length.saturating_sub(number * as_u64(BLOCK));
        block.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.blocks.insert(number, block);
    }

    fn truncate(&mut self, length: u64) {
        self.length = length;
        self.blocks.retain(|number, _| number * as_u64(BLOCK) < length);
        if let Some((number, block)) = self.blocks.iter_mut().next_back() {
            let left = length - number * as_u64(BLOCK);
            block.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}

/// Any index below a limit.
pub(crate) fn pick(random: &mut Random, limit: usize) -> usize {
    usize::try_from(random.below(as_u64(limit))).unwrap()
}
